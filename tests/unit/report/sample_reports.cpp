// Writes the sample reports as JSON into the directory that is its argument, for schema_test.py.
#include <filesystem>
#include <fstream>
#include <iostream>

#include "sim/base/systemc.hpp"
#include "sim/report/json_report.hpp"
#include "tests/unit/report/sample_report.hpp"

int sc_main(int argc, char** argv) {
  using namespace nvmesim;
  if (argc != 2) {
    std::cerr << "usage: sample_reports DIRECTORY\n";
    return 2;
  }
  const std::filesystem::path directory = argv[1];
  const auto write = [&](const char* name, const report::RunReport& run) {
    std::ofstream(directory / name) << report::print_json(report::to_json(run));
  };
  write("full.json", tests::sample_report());
  write("changed.json", tests::changed_report());
  write("hung.json", tests::hung_report());
  write("linux.json", tests::linux_report());
  write("empty.json", tests::empty_report());
  return 0;
}
