// An unloaded 4 KiB read and write cost the hand sum of the configured parts, to the picosecond,
// and each stage its closed form.
#include <algorithm>

#include "pcie/formula.hpp"
#include "sim/system/system.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim {
namespace {

using base::Stage;
using base::Time;

Time ns(std::uint64_t count) {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(count));
}

// What the parts of one configuration cost an I/O that meets nobody.
struct ClosedForm {
  const system_::SystemConfig& config;

  Time wire(std::uint64_t bytes) const {
    return pcie::formula::tlp_pace(config.link.generation, config.link.lanes,
                                   config.link.max_payload_bytes)(bytes);
  }
  Time flight() const { return ns(config.link.propagation_ns + config.link.stack_latency_ns); }
  Time cycles(std::uint64_t count) const { return config.device.controller.pipeline.cycles(count); }
  Time memory(std::uint64_t bytes) const {
    const base::Pace pace(std::uint64_t{config.host.memory_read_ns_per_kib} * 1000, 1024);
    return ns(config.host.memory_read_latency_ns) + pace(bytes);
  }
  // Bytes on the wire: a 32-bit header or a completion header, 20 bytes, around each piece.
  std::uint64_t write_bytes(std::uint64_t bytes) const {
    return bytes + base::ceil_div(bytes, config.link.max_payload_bytes) * 20;
  }
  Time dma_read(std::uint64_t bytes) const {
    const auto requests = base::ceil_div(bytes, config.link.max_read_request_bytes);
    return wire(requests * 20) + flight() + memory(bytes) + wire(write_bytes(bytes)) + flight();
  }

  Time submit() const { return ns(550 + config.host.block_layer_ns + config.host.driver_ns); }
  Time doorbell() const { return wire(write_bytes(4)) + flight(); }
  Time arbitration() const {
    const auto& pipeline = config.device.controller.pipeline;
    return cycles(pipeline.doorbell_cycles) + cycles(pipeline.fetch_cycles);
  }
  Time fetch() const { return dma_read(64); }
  Time decode(std::uint64_t latency_ns) const {
    return cycles(config.device.controller.pipeline.decode_cycles) + ns(latency_ns);
  }
  // The completion entry and the interrupt message leave back to back.
  Time interrupt() const {
    return wire(write_bytes(16) + write_bytes(4)) + flight() +
           ns(config.host.interrupt_ns + config.host.context_switch_ns);
  }
};

struct OneIo {
  system_::SystemConfig config;
  base::StageRecord stages;
};

OneIo one_io(const std::string& rw) {
  system_::ConfigRequest request;
  request.drive = "p5510";
  request.settings = {"device.media.ftl.prefill_percent=100", "simulation.check_protocol=true"};
  OneIo io;
  io.config = system_::load_config(request);
  system_::System system(io.config);
  workload::WorkloadResult result;
  system.run([&] {
    if (!system.boot()) return;
    system.machine().threads.msleep(1);  // the processor has done with the boot's last interrupt
    workload::JobRunner runner(
        system.scheduler(), *system.disk(),
        workload::parse_job(
            "[one]\nrw=" + rw + "\nbs=4k\nsize=1m\nnumber_ios=1\nioengine=psync\ndirect=1\n",
            "one"),
        workload::RunnerConfig{});
    system.run_workload(runner);
    result = runner.result();
  });
  REQUIRE(result.slowest.size() == 1);
  CHECK(system.protocol_violations() == std::vector<std::string>());
  io.stages = result.slowest.front().stages;
  return io;
}

void check_common(const OneIo& io, const ClosedForm& form) {
  CHECK(io.stages.spent(Stage::kSubmit) == form.submit());
  CHECK(io.stages.spent(Stage::kDoorbell) == form.doorbell());
  CHECK(io.stages.spent(Stage::kArbitration) == form.arbitration());
  CHECK(io.stages.spent(Stage::kFetch) == form.fetch());
  CHECK(io.stages.spent(Stage::kInterrupt) == form.interrupt());
}

TEST_CASE("an unloaded 4 KiB read is the sum of its parts to the picosecond") {
  const OneIo io = one_io("randread");
  const ClosedForm form{io.config};
  const auto& media = io.config.device.media;
  const auto& nand = media.nand;
  check_common(io, form);
  const Time decode = form.decode(io.config.device.controller.pipeline.read_latency_ns);
  const Time mapping = ns(media.ftl.mapping_ns);
  const Time array = ns(nand.read_ns.front());
  const Time channel =
      ns(nand.command_ns + nand.status_ns) +
      base::Pace::bytes_per_second(std::uint64_t{nand.channel_mb_per_s} * 1'000'000)(4096);
  const Time ecc = ns(nand.ecc_ns);
  const Time data = form.wire(form.write_bytes(4096));
  CHECK(io.stages.spent(Stage::kDecode) == decode);
  CHECK(io.stages.spent(Stage::kMapping) == mapping);
  CHECK(io.stages.spent(Stage::kArray) == array);
  CHECK(io.stages.spent(Stage::kChannel) == channel);
  CHECK(io.stages.spent(Stage::kEcc) == ecc);
  CHECK(io.stages.spent(Stage::kData) == data);
  CHECK(io.stages.total() == form.submit() + form.doorbell() + form.arbitration() + form.fetch() +
                                 decode + mapping + array + channel + ecc + data +
                                 form.interrupt());
}

TEST_CASE("an unloaded 4 KiB write is the sum of its parts to the picosecond") {
  const OneIo io = one_io("randwrite");
  const ClosedForm form{io.config};
  const auto& buffer = io.config.device.media.write_buffer;
  check_common(io, form);
  const Time decode = form.decode(io.config.device.controller.pipeline.write_latency_ns);
  const Time data = form.dma_read(4096);
  // The firmware's part runs while the data comes.
  const Time entry =
      std::max(ns(buffer.fixed_ns + buffer.per_unit_ns), ns(buffer.commit_ns) - data);
  CHECK(io.stages.spent(Stage::kDecode) == decode);
  CHECK(io.stages.spent(Stage::kBuffer) == entry);
  CHECK(io.stages.spent(Stage::kData) == data);
  CHECK(io.stages.total() == form.submit() + form.doorbell() + form.arbitration() + form.fetch() +
                                 decode + entry + data + form.interrupt());
}

}  // namespace
}  // namespace nvmesim
