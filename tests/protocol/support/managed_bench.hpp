// A bench whose controller has every administrative part, with what tests of namespaces need.
#pragma once

#include <vector>

#include "device/spec/management.hpp"
#include "tests/protocol/support/test_host.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {

struct ManagedBench : Bench {
  explicit ManagedBench(device::ControllerConfig wanted = full_config()) : Bench(wanted) {
    REQUIRE(enable());
    create_pair(1);
  }
  ManagedBench(device::ControllerConfig wanted, Bench& sibling) : Bench(wanted, sibling) {
    REQUIRE(enable());
    create_pair(1);
  }

  spec::SubmissionEntry create_entry(std::uint64_t blocks, std::uint8_t flbas = 0) {
    spec::IdentifyNamespace wanted{};
    wanted.nsze = wanted.ncap = blocks;
    wanted.flbas = flbas;
    return create_entry(wanted);
  }
  spec::SubmissionEntry create_entry(const spec::IdentifyNamespace& wanted) {
    port.store(kData, wanted);
    auto entry = admin(spec::AdminOpcode::kNamespaceManagement, 0);
    entry.prp1 = kData;
    return entry;
  }
  std::uint32_t create(std::uint64_t blocks, std::uint8_t flbas = 0) {
    const Completion completion = run_command(0, create_entry(blocks, flbas));
    REQUIRE(completion.status() == spec::Status::kSuccess);
    return completion.entry.dw0;
  }
  spec::SubmissionEntry remove_entry(std::uint32_t nsid) {
    auto entry = admin(spec::AdminOpcode::kNamespaceManagement, 1);
    entry.nsid = nsid;
    return entry;
  }
  spec::SubmissionEntry attach_entry(std::uint32_t nsid, std::vector<std::uint16_t> ids,
                                     std::uint32_t select = 0) {
    spec::ControllerList list{};
    list.count = static_cast<std::uint16_t>(ids.size());
    std::copy(ids.begin(), ids.end(), list.ids.begin());
    port.store(kData, list);
    auto entry = admin(spec::AdminOpcode::kNamespaceAttachment, select);
    entry.nsid = nsid;
    entry.prp1 = kData;
    return entry;
  }
  spec::SubmissionEntry format_entry(std::uint32_t nsid, std::uint32_t cdw10) {
    auto entry = admin(spec::AdminOpcode::kFormatNvm, cdw10);
    entry.nsid = nsid;
    return entry;
  }
  spec::IdentifyNamespace read_namespace(std::uint32_t nsid, std::uint32_t cns = 0) {
    REQUIRE(status(0, identify(cns, nsid, kData + 0x4000)) == spec::Status::kSuccess);
    return port.load<spec::IdentifyNamespace>(kData + 0x4000);
  }
  spec::IdentifyController read_controller() {
    REQUIRE(status(0, identify(1, 0, kData + 0x4000)) == spec::Status::kSuccess);
    return port.load<spec::IdentifyController>(kData + 0x4000);
  }
  std::uint32_t list_entry(std::uint32_t cns, std::uint32_t index, std::uint32_t nsid = 0) {
    REQUIRE(status(0, identify(cns, nsid, kData + 0x4000)) == spec::Status::kSuccess);
    return port.load<std::uint32_t>(kData + 0x4000 + index * 4);
  }
  spec::SubmissionEntry io_to(spec::NvmOpcode opcode, std::uint32_t nsid, std::uint64_t lba = 0,
                              std::uint32_t blocks = 8) {
    auto entry = io(opcode, lba, blocks);
    entry.nsid = nsid;
    return entry;
  }
  std::uint16_t await_event() { return submit(0, admin(spec::AdminOpcode::kAsyncEventRequest)); }
  void ask_for_notices() {
    REQUIRE(status(0, admin(spec::AdminOpcode::kSetFeatures, 0x0B, 0x4BFF)) ==
            spec::Status::kSuccess);
  }
};

}  // namespace nvmesim::test
