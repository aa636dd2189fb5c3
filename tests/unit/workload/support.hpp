// Small helpers of these tests: files that go away, traces made by hand, a run to its end.
#pragma once

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "sim/base/assert.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/workload/runner.hpp"
#include "sim/workload/trace.hpp"

namespace nvmesim::test {

// A file of its own for the lifetime of the object.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content, std::string_view name = "trace")
      : path_((std::filesystem::temp_directory_path() /
               ("nvmesim_workload_" + std::to_string(::getpid()) + "_" + std::string(name)))
                  .string()) {
    std::ofstream(path_, std::ios::binary) << content;
  }
  ~TemporaryFile() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline std::string recording(std::string_view name) {
  return std::string(NVMESIM_SOURCE_DIR "/traces/") + std::string(name);
}

inline std::string file_content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The text of the UserError that `action` throws; "no error" if it throws none.
template <class Action>
std::string user_error(Action action) {
  try {
    action();
  } catch (const base::UserError& error) {
    return error.what();
  }
  return "no error";
}

inline workload::TraceRequest request(base::Time at, host::BioOp op, std::uint64_t sector,
                                      std::uint32_t sectors) {
  workload::TraceRequest made;
  made.at = at;
  made.op = op;
  made.sector = sector;
  made.sectors = sectors;
  return made;
}

// Requests of 4 KiB, one after the other on the drive, one each interval.
inline workload::Trace every(base::Time interval, int count, host::BioOp op = host::BioOp::kWrite) {
  workload::Trace trace;
  for (int i = 0; i < count; ++i) {
    trace.requests.push_back(request(i * interval, op, static_cast<std::uint64_t>(i) * 8, 8));
  }
  return trace;
}

struct Ends {
  int count = 0;
  void ended() { ++count; }
};

// Starts a workload and runs the simulation until nothing is pending. How often it finished.
inline int run_to_end(workload::Runner& runner) {
  Ends ends;
  runner.start(base::Callback::of<&Ends::ended>(&ends));
  sc_core::sc_start();
  return ends.count;
}

}  // namespace nvmesim::test
