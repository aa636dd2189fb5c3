// How data goes between host and drive: SGLs, protection information, merged requests; each against
// the real controller, with all data verified.
#include "sim/workload/replayer.hpp"
#include "tests/system/driver_rig.hpp"

using namespace nvmesim;
using namespace nvmesim::test;

namespace {

const std::string kController = "device.controller.";

// A namespace with 8 bytes of metadata per block, made and checked by the drive or by the host.
std::vector<std::string> protected_drive(unsigned type, bool host_makes_it) {
  return {kController + "namespaces=[{\"metadata_bytes\":8,\"protection_type\":" +
              std::to_string(type) + "}]",
          "device.media.keep_metadata=true",
          std::string("driver.integrity=") + (host_makes_it ? "true" : "false")};
}

void protection(unsigned type, bool host_makes_it) {
  DriverRig rig(protected_drive(type, host_makes_it));
  rig.after_boot([&] {
    CHECK(rig.ctrl().namespaces().front()->info.pi_type == type);
    CHECK(rig.disk().limits().mergeable == !host_makes_it);
    unsigned made_by_drive = 0;
    unsigned with_pointer = 0;
    rig.rules->change_command(fault::io_command(spec::NvmOpcode::kWrite), fault::kEveryTime,
                              [&](spec::SubmissionEntry& entry) {
                                made_by_drive += (entry.cdw12 >> 29 & 1) != 0;
                                with_pointer += entry.mptr != 0;
                              });
    rig.traffic_around_a_reset();
    CHECK((made_by_drive != 0) == !host_makes_it);
    CHECK((with_pointer != 0) == host_makes_it);
  });
}

}  // namespace

TEST_CASE("long transfers go by SGL, with their data right") {
  DriverRig rig({kController + "sgls=1"});
  rig.after_boot([&] {
    unsigned by_sgl = 0;
    unsigned by_prp = 0;
    rig.rules->change_command(
        fault::any_io(), fault::kEveryTime,
        [&](spec::SubmissionEntry& entry) { ((entry.flags & 0xc0) != 0 ? by_sgl : by_prp) += 1; });
    rig.traffic_around_a_reset();
    CHECK(by_sgl > 100);
    CHECK(by_prp > 100);
  });
}

TEST_CASE("a transfer of several pieces goes by a list of descriptors, with its data right") {
  DriverRig rig({kController + "sgls=1", "driver.sgl_threshold=4096"});
  rig.after_boot([&] {
    host::Disk& disk = rig.disk();
    constexpr std::uint32_t kPiece = 16 * 1024;
    constexpr std::uint32_t kAll = 4 * kPiece;
    const host::IoBuffer scattered = disk.allocate_buffer(2 * kAll);
    const host::IoBuffer whole = disk.allocate_buffer(kAll);
    std::vector<host::IoBuffer> pieces;
    std::vector<std::byte> data(kAll);
    for (std::uint32_t i = 0; i < kAll; ++i) data[i] = static_cast<std::byte>(i * 7 + i / 4096);
    for (std::uint32_t i = 0; i < 4; ++i) {
      // Not in the order of memory.
      const std::uint32_t at = (3 - i) * 2 * kPiece;
      pieces.push_back({scattered.address + at, kPiece});
      disk.write_buffer(scattered, at, std::span(data).subspan(i * kPiece, kPiece));
    }
    host::Bio bio;
    bio.op = BioOp::kWrite;
    bio.sectors = kAll / 512;
    bio.pieces = pieces;
    CHECK(rig.end(bio) == BlockStatus::kOk);
    bio.op = BioOp::kRead;
    bio.pieces = {};
    bio.buffer = whole;
    CHECK(rig.end(bio) == BlockStatus::kOk);
    std::vector<std::byte> found(kAll);
    disk.read_buffer(whole, 0, found);
    CHECK(found == data);
    CHECK(rig.statistic(kController + "sgl_segment_reads") == 1);  // the read's is in the command
    disk.free_buffer(scattered);
    disk.free_buffer(whole);
    CHECK(rig.dev().pool_blocks_in_use() == 0);
  });
}

TEST_CASE("protection information of type 1 made by the drive is right for all data") {
  protection(1, false);
}

TEST_CASE("protection information of type 3 made by the drive is right for all data") {
  protection(3, false);
}

TEST_CASE("protection information of type 1 made by the host passes the drive's checks") {
  protection(1, true);
}

TEST_CASE("protection information of type 2 made by the host passes the drive's checks") {
  protection(2, true);
}

TEST_CASE("data that the link damages is found by the host's protection information") {
  bool damage = false;
  fault::RequestRule rule;
  rule.count = fault::kAlways;
  rule.action = fault::RequestRule::Action::kChange;
  // Data of a block on its way to the host: longer than a completion entry.
  rule.when = [&damage](base::Splice::Direction direction, const auto& payload) {
    return damage && direction == base::Splice::Direction::kUpstream && payload.is_write() &&
           payload.get_data_length() > 64;
  };
  rule.change = [](tlm::tlm_generic_payload& payload) { payload.get_data_ptr()[5] ^= 1; };
  DriverRig rig(protected_drive(1, true), {rule});
  rig.after_boot([&] {
    CHECK(rig.io(BioOp::kWrite) == BlockStatus::kOk);
    CHECK(rig.read() == BlockStatus::kOk);
    damage = true;
    CHECK(rig.read() == BlockStatus::kProtection);
    damage = false;
    CHECK(rig.read() == BlockStatus::kOk);
  });
}

TEST_CASE("jobs that submit in batches have their bios merged, with their data right") {
  DriverRig rig;
  rig.after_boot([&] {
    const std::string job =
        "[global]\nioengine=io_uring\nbs=4k\niodepth=64\niodepth_low=1\nsize=4m\nrw=";
    rig.verified_job(job + "write\niodepth_batch=16\n[batches]\n");
    const std::uint64_t of_batches = rig.disk().queue().bios_merged();
    // 1024 writes: 64 at once, then 63 whenever one is left. Of each call's 16 (or what is left of
    // a fill) all but the first are merged, and there are 4 calls for each fill, one for the last.
    CHECK(of_batches == 1024 - 4 * 16 - 1);
    rig.verified_job(job + "randwrite\niodepth_batch=16\n[random]\n");
    rig.verified_job(job + "write\n[alone]\n");
    CHECK(rig.disk().queue().bios_merged() < of_batches + 64);
  });
}

TEST_CASE("with nomerges=2 the same job is issued bio by bio") {
  DriverRig rig({"host.nomerges=2"});
  rig.after_boot([&] {
    rig.verified_job(
        "[batches]\nioengine=io_uring\nbs=4k\niodepth=64\niodepth_low=1\nsize=4m\nrw=write\n"
        "iodepth_batch=16\n");
    CHECK(rig.disk().queue().bios_merged() == 0);
    CHECK(rig.disk().queue().plug_flushes() >= 64);
  });
}

TEST_CASE("discards of one batch are one command, and all of them read as zeroes") {
  DriverRig rig;
  rig.after_boot([&] {
    host::Disk& disk = rig.disk();
    unsigned ranges = 0;
    rig.rules->change_command(
        fault::io_command(spec::NvmOpcode::kDatasetManagement), fault::kEveryTime,
        [&ranges](spec::SubmissionEntry& entry) { ranges = (entry.cdw10 & 0xff) + 1; });
    std::deque<host::Bio> bios(20);
    host::Completion ended(rig.machine().threads);
    for (std::size_t i = 0; i < bios.size(); ++i) {
      host::Bio bio;
      bio.op = BioOp::kWrite;
      bio.sector = 24 * i;
      bio.sectors = 8;
      bio.buffer = disk.allocate_buffer(4096);
      disk.write_buffer(bio.buffer, 0, std::vector<std::byte>(4096, std::byte{0xab}));
      CHECK(rig.end(bio) == BlockStatus::kOk);
      disk.free_buffer(bio.buffer);
      bios[i].op = BioOp::kDiscard;
      bios[i].sector = 24 * i;
      bios[i].sectors = 8;
      bios[i].plugged = i + 1 != bios.size();
      bios[i].done = base::Callback::of<&host::Completion::complete>(&ended);
    }
    for (host::Bio& bio : bios) disk.submit(bio);
    for (std::size_t i = 0; i < bios.size(); ++i) ended.wait();
    CHECK(ranges == 20);
    for (std::size_t i = 0; i < bios.size(); ++i) {
      CHECK(bios[i].status == BlockStatus::kOk);
      host::Bio bio;
      bio.sector = 24 * i;
      bio.sectors = 8;
      bio.buffer = disk.allocate_buffer(4096);
      CHECK(rig.end(bio) == BlockStatus::kOk);
      std::vector<std::byte> data(4096, std::byte{1});
      disk.read_buffer(bio.buffer, 0, data);
      CHECK(std::count(data.begin(), data.end(), std::byte{0}) == 4096);
      disk.free_buffer(bio.buffer);
    }
  });
}

// A recording of what programs queued (Q) also has what their kernel merged (M and F): 2708 of 4202
// bios, of the writes and reads of a git clone, tar and others.
TEST_CASE("a recorded program's bios are merged about as its own kernel merged them") {
  constexpr double kMergedThere = 2708;
  DriverRig rig({"device.media.capacity_bytes=4294967296"});
  rig.after_boot([&] {
    const workload::Trace trace =
        workload::read_trace(NVMESIM_SOURCE_DIR "/traces/devwork.blktrace.txt.gz",
                             {.event = workload::TraceEvent::kQueued});
    REQUIRE(trace.requests.size() == 4202);
    workload::ReplayConfig config;
    config.run.verify = true;
    config.plug_us = 50;
    workload::Replayer replayer(rig.system->scheduler(), *rig.system->disk(), trace, config);
    CHECK_FALSE(rig.system->run_workload(replayer).has_value());
    const workload::WorkloadResult result = replayer.result();
    CHECK(result.complete);
    CHECK(result.requests_failed == 0);
    REQUIRE(result.verified.has_value());
    CHECK(result.verified->passed());
    const auto merged = static_cast<double>(rig.disk().queue().bios_merged());
    INFO("merged " << merged);
    CHECK(merged > 0.9 * kMergedThere);
    CHECK(merged < 1.1 * kMergedThere);
  });
}
