// The kernel's trace events of the driver (nvme_setup_cmd, nvme_sq, nvme_complete_rq) as lines of
// ftrace, for tools that read those. Nothing is formatted unless somebody listens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "device/spec/commands.hpp"
#include "host/block/request.hpp"
#include "sim/base/units.hpp"

namespace nvmesim::host {

class Tracepoints {
 public:
  using Sink = std::function<void(std::string_view line)>;

  void set_sink(Sink sink) { sink_ = std::move(sink); }
  bool armed() const { return static_cast<bool>(sink_); }

  // Where and when: the processor, the time, the controller's number and the disk's name, if any.
  struct Place {
    unsigned cpu = 0;
    bool interrupt = false;
    base::Time now{0};
    unsigned controller = 0;
    std::string_view disk;
    std::uint16_t qid = 0;
  };
  void setup_cmd(const Place& place, const device::spec::SubmissionEntry& entry) const;
  void sq(const Place& place, std::uint16_t head, std::uint32_t tail) const;
  void complete_rq(const Place& place, const Request& request, bool cancelled) const;

 private:
  void print(const Place& place, std::string_view event, const std::string& fields) const;
  Sink sink_;
};

// The command dwords in words, as the kernel prints them: "cns=1, ctrlid=0".
std::string describe_command(bool admin, const device::spec::SubmissionEntry& entry);

}  // namespace nvmesim::host
