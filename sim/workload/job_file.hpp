// fio job files: the core of fio's options, read by a table (job_options.cpp). An option that is
// not in the table is an error: a run never leaves out what its file asks for.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/base/units.hpp"
#include "sim/workload/io_cost.hpp"

namespace nvmesim::workload {

// Bytes, or percent of the drive.
struct Amount {
  std::uint64_t value = 0;
  bool percent = false;
  std::uint64_t bytes_of(std::uint64_t drive_bytes) const;
};

enum class Direction : std::uint8_t { kRead, kWrite, kTrim };
inline constexpr std::size_t kDirectionCount = 3;

struct JobOptions {
  std::string name;
  std::uint64_t line = 0;  // of its section, for errors
  bool reads = true;
  bool writes = false;
  bool trims = false;
  bool random = false;
  std::uint32_t read_percent = 50;  // rwmixread, when it both reads and writes
  std::array<std::uint64_t, kDirectionCount> block_bytes{4096, 4096, 4096};
  std::uint32_t iodepth = 1;
  std::uint32_t batch = 1;      // iodepth_batch: so many are submitted by one system call
  std::uint32_t low_depth = 0;  // iodepth_low: a full depth is let run down to it; 0 = at once
  std::uint32_t numjobs = 1;
  bool size_given = false;
  Amount size;                 // region and bytes to transfer; not given: to the end of the drive
  std::uint64_t io_bytes = 0;  // bytes to transfer, if not once the size of the region
  Amount offset;               // of the region
  std::uint64_t offset_increment = 0;  // bytes between the regions of clones
  base::Time runtime{0};               // 0 = none
  bool time_based = false;
  std::uint64_t number_ios = 0;  // 0 = no limit
  bool zipf = false;
  std::string zipf_theta;  // decimal
  bool no_random_map = false;
  bool seed_given = false;
  std::uint64_t seed = 0;
  const IoCost* engine = nullptr;  // never null in what read_job returns
  bool verify = false;
  std::uint32_t fsync = 0;                   // a flush after so many writes; 0 = none
  std::uint8_t write_hint = 0;               // as Bio::write_hint
  std::string filename;                      // as given; whatever it names, it is the drive
  std::map<std::string, std::string> given;  // name to value, as the file has them

  // The largest block of the directions in use.
  std::uint64_t largest_block_bytes() const;
  // Host memory that all its clones use at once, as far as it can be known without the drive.
  std::uint64_t buffer_bytes() const;
  // Requests that one clone keeps in flight.
  std::uint32_t depth() const { return engine->synchronous ? 1 : iodepth; }
};

struct JobFile {
  std::string path;
  std::vector<JobOptions> jobs;  // one per section; numjobs is not unfolded
};

// Throws UserError "file:line: what; what to do".
JobFile read_job(const std::string& path);
JobFile parse_job(std::string_view text, const std::string& path);

// Names of the options that are understood, in the order of the table.
std::vector<std::string> job_option_names();

}  // namespace nvmesim::workload
