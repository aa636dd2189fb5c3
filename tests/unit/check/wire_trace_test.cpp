#include "sim/check/wire_trace.hpp"

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "device/spec/commands.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/check/raw_ends.hpp"

namespace nvmesim::tests {
namespace {

using Lines = std::vector<std::string>;
constexpr auto kRead = tlm::TLM_READ_COMMAND;
constexpr auto kWrite = tlm::TLM_WRITE_COMMAND;
constexpr std::uint64_t kBar = 0x1'F000'0000;
constexpr std::uint64_t kQueue = 0xC66000;

// A host and a device, both raw, with the trace between them. Steps run 1 us apart, from 1 us on;
// reads are answered after 50 ns from `config` and `registers` (by offset in BAR0).
struct WireBench {
  explicit WireBench(check::WireTraceOptions options = {})
      : trace(
            "trace", scheduler, [this](std::string_view line) { lines.emplace_back(line); },
            options) {
    host.socket.bind(trace.downstream.in);
    trace.downstream.out.bind(device.socket);
    dma.socket.bind(trace.upstream.in);
    trace.upstream.out.bind(memory.socket);
    device.before_response = [this](Payload& payload) { answer(payload); };
    memory.before_response = [this](Payload& payload) {
      if (payload.is_read() && payload.get_address() >= kQueue) {
        const std::uint64_t offset = payload.get_address() - kQueue;
        for (std::uint64_t i = 0; i < payload.get_data_length() && offset + i < 4096; ++i) {
          payload.get_data_ptr()[i] = queue[offset + i];
        }
      }
      payload.set_response_status(memory_status);
    };
    put(config, 0x34, 0x40, 1);
    put(config, 0x40, 0x5001, 2);       // power management, next at 50h
    put(config, 0x50, 0x0007'0011, 4);  // MSI-X, the last; 8 vectors
    put(config, 0x54, 0x2000, 4);
    put(config, 0x58, 0x3000, 4);
  }

  static void put(std::map<std::uint64_t, std::uint8_t>& bytes, std::uint64_t at,
                  std::uint64_t value, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      bytes[at + i] = static_cast<std::uint8_t>(value >> (8 * i));
    }
  }
  void answer(Payload& payload) {
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    if (!payload.is_read()) return;
    const bool is_config = pcie::tlp_of(payload).kind == pcie::TlpKind::kConfig0;
    auto& bytes = is_config ? config : registers;
    for (unsigned i = 0; i < payload.get_data_length(); ++i) {
      const std::uint64_t at = payload.get_address() + i - (is_config ? 0 : kBar);
      payload.get_data_ptr()[i] = bytes.count(at) != 0 ? bytes[at] : 0;
    }
  }

  void send(RawInitiator& from, tlm::tlm_command command, std::uint64_t address, std::size_t bytes,
            std::uint64_t value = 0, pcie::TlpKind kind = pcie::TlpKind::kMemory,
            unsigned char* data = nullptr) {
    pcie::TlpPayload& payload = make_request(pool, command, address, bytes, data);
    if (data == nullptr) std::memcpy(payload.inline_data.data(), &value, sizeof value);
    payload.extension.kind = kind;
    script.at(when += 1us, [&] { from.send(payload); });
  }
  void read(std::uint64_t offset, std::size_t bytes = 4) {
    send(host, kRead, kBar + offset, bytes);
  }
  void write(std::uint64_t offset, std::uint64_t value, std::size_t bytes = 4) {
    send(host, kWrite, kBar + offset, bytes, value);
  }
  void config_read(std::uint64_t offset, std::size_t bytes) {
    send(host, kRead, offset, bytes, 0, pcie::TlpKind::kConfig0);
  }
  void config_write(std::uint64_t offset, std::uint64_t value) {
    send(host, kWrite, offset, 4, value, pcie::TlpKind::kConfig0);
  }
  void set_bar() {
    config_write(0x10, kBar & 0xFFFF'FFFF);
    config_write(0x14, kBar >> 32);
  }
  void find_msix() {
    config_read(0x34, 1);
    config_read(0x40, 2);
    for (const std::uint64_t offset : {0x50, 0x54, 0x58}) config_read(offset, 4);
  }
  void set_vector(unsigned vector, std::uint32_t data, std::uint32_t control = 0) {
    write(0x2000 + 16 * vector, 0xFEE00000);
    write(0x2004 + 16 * vector, 0);
    write(0x2008 + 16 * vector, data);
    write(0x200C + 16 * vector, control);
  }
  void set_admin_queue(std::uint32_t entries) {
    write(0x24, (entries - 1) << 16 | (entries - 1));
    write(0x28, kQueue, 8);
  }
  void put_command(unsigned slot, std::uint8_t opcode, std::uint16_t cid, std::uint32_t nsid,
                   std::uint64_t prp1, std::uint32_t c10, std::uint32_t c11) {
    device::spec::SubmissionEntry entry{};
    entry.opc = opcode;
    entry.cid = cid;
    entry.nsid = nsid;
    entry.prp1 = prp1;
    entry.cdw10 = c10;
    entry.cdw11 = c11;
    std::memcpy(queue.data() + 64 * slot, &entry, sizeof entry);
  }
  void fetch(std::uint64_t address, std::size_t bytes) {
    send(dma, kRead, address, bytes, 0, pcie::TlpKind::kMemory, fetched.data());
  }

  const Lines& run() {
    sc_core::sc_start();
    trace.finish();
    return lines;
  }

  base::Scheduler scheduler{"scheduler"};
  pcie::TlpPool pool;
  Script script{scheduler};
  Lines lines;
  std::map<std::uint64_t, std::uint8_t> config;
  std::map<std::uint64_t, std::uint8_t> registers;
  std::array<std::uint8_t, 4096> queue{};
  std::array<unsigned char, 4096> fetched{};
  tlm::tlm_response_status memory_status = tlm::TLM_OK_RESPONSE;
  base::Time when{0};
  RawInitiator host{"host", scheduler};
  RawTarget device{"device", scheduler};
  RawInitiator dma{"dma", scheduler};
  RawTarget memory{"memory", scheduler};
  check::WireTrace trace;
};

TEST_CASE("a probe's first steps are written as they pass the device") {
  WireBench bench;
  WireBench::put(bench.registers, 0x00, 0x20'1401'03FF, 8);
  WireBench::put(bench.registers, 0x08, 0x10400, 4);
  bench.find_msix();  // 1..5 us
  bench.set_bar();    // 6, 7
  bench.read(0x00);   // 8
  bench.read(0x04);
  bench.read(0x08);  // 10
  bench.write(0x14, 0x460001);
  bench.set_vector(1, 66);  // 12..15
  bench.set_admin_queue(32);
  bench.put_command(0, 0x06, 28, 0, 0xCC1000, 1, 0);
  bench.put_command(1, 0x02, 4124, 0xFFFFFFFF, 0xCC8400, 0x7F0002, 0x10003);
  bench.write(0x1000, 1);  // 18: a doorbell
  bench.fetch(kQueue, 64);
  bench.fetch(kQueue + 64, 64);                 // 20
  bench.send(bench.dma, kWrite, 0xC65000, 16);  // a completion entry
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 66);
  bench.read(0x2018);
  CHECK(bench.run() ==
        Lines{
            "8000 MMIO R 4 @0000 CAP   = 140103ff",
            "9000 MMIO R 4 @0004 CAP+4 = 20",
            "10000 MMIO R 4 @0008 VS    = 10400",
            "11000 MMIO W 4 @0014 CC    = 460001",
            "12000 MMIO W 4 @2010 MSIX  = fee00000",
            "13000 MMIO W 4 @2014 MSIX  = 0",
            "14000 MMIO W 4 @2018 MSIX  = 42",
            "15000 MMIO W 4 @201c MSIX  = 0",
            "16000 MMIO W 4 @0024 AQA   = 1f001f",
            "17000 MMIO W 8 @0028 ASQ   = c66000",
            "19100 ADMIN op 06 cid 28 nsid 0 prp1 cc1000 c10 1 c11 0",
            "20100 ADMIN op 02 cid 4124 nsid ffffffff prp1 cc8400 c10 7f0002 c11 10003",
            "22000 MSI-X vec 1 addr fee00000 data 66",
            "23000 MMIO R 4 @2018 MSIX  = 0",
        });
}

TEST_CASE("doorbells are written when asked for, by the stride that CAP told") {
  WireBench bench({.doorbells = true});
  WireBench::put(bench.registers, 0x04, 0x21, 4);  // DSTRD 1: 8 bytes apart
  bench.set_bar();
  bench.write(0x1004, 1);
  bench.read(0x04);
  bench.write(0x1000, 2);
  bench.write(0x1018, 3);
  CHECK(bench.run() == Lines{"3000 MMIO W 4 @1004 CQ0HDBL = 1", "4000 MMIO R 4 @0004 CAP+4 = 21",
                             "5000 MMIO W 4 @1000 SQ0TDBL = 2", "6000 MMIO W 4 @1018 CQ1HDBL = 3"});
}

TEST_CASE("the MSI-X table and interrupts can be left out, each by itself") {
  WireBench bench({.msix_table = false});
  bench.find_msix();
  bench.set_bar();
  bench.set_vector(0, 65);
  bench.read(0x3000);
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 65);
  CHECK(bench.run() == Lines{"13000 MSI-X vec 0 addr fee00000 data 65"});
}

TEST_CASE("without interrupts only the host's side is written") {
  WireBench bench({.interrupts = false});
  bench.find_msix();
  bench.set_bar();
  bench.set_vector(0, 65, 1);
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 65);
  CHECK(bench.run().size() == 4);
}

TEST_CASE("an interrupt goes to the unmasked one of two vectors with one message") {
  WireBench bench({.msix_table = false});
  bench.find_msix();
  bench.set_bar();
  bench.set_vector(2, 65, 1);
  bench.set_vector(5, 65);
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 65);
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 99);  // no vector's
  bench.write(0x205C, 1);
  bench.send(bench.dma, kWrite, 0xFEE00000, 4, 65);
  CHECK(bench.run() == Lines{"16000 MSI-X vec 5 addr fee00000 data 65",
                             "19000 MSI-X vec 2 addr fee00000 data 65"});
}

TEST_CASE("a read keeps its place before what passed while it waited") {
  WireBench bench;
  WireBench::put(bench.registers, 0x1C, 1, 4);
  bench.device.forward = [&](Payload& payload, tlm::tlm_phase& phase, sc_core::sc_time&) {
    bench.device.answer(payload, payload.is_read() ? 2500ns : 50ns);
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  bench.set_bar();
  bench.read(0x1C);
  bench.write(0x14, 5);
  bench.write(0x14, 6);
  CHECK(bench.run() == Lines{"3000 MMIO R 4 @001c CSTS  = 1", "4000 MMIO W 4 @0014 CC    = 5",
                             "5000 MMIO W 4 @0014 CC    = 6"});
}

TEST_CASE("a read that is never answered has no value and holds nothing up for good") {
  WireBench bench;
  bench.device.forward = [&](Payload& payload, tlm::tlm_phase& phase, sc_core::sc_time&) {
    if (!payload.is_read()) bench.device.answer(payload, 50ns);
    phase = tlm::END_REQ;
    return tlm::TLM_UPDATED;
  };
  bench.set_bar();
  bench.read(0x1C);
  bench.write(0x14, 5);
  CHECK(bench.run() == Lines{"3000 MMIO R 4 @001c CSTS  = ?", "4000 MMIO W 4 @0014 CC    = 5"});
}

TEST_CASE("whole entries of the admin queue are commands, other reads are not") {
  WireBench bench;
  bench.set_bar();
  bench.set_admin_queue(4);
  for (unsigned slot = 0; slot < 6; ++slot) {
    bench.put_command(slot, static_cast<std::uint8_t>(slot), static_cast<std::uint16_t>(slot), 0, 0,
                      0, 0);
  }
  bench.fetch(kQueue + 64, 192);   // 5 us: three in a burst
  bench.fetch(kQueue + 256, 64);   // behind the queue's end
  bench.fetch(kQueue - 4096, 64);  // before it
  bench.fetch(kQueue + 128, 32);   // half an entry
  bench.fetch(kQueue + 32, 96);    // a half and a whole one
  bench.send(bench.dma, kWrite, kQueue, 64);
  const auto command = [](const char* time, int slot) {
    return std::string(time) + " ADMIN op 0" + std::to_string(slot) + " cid " +
           std::to_string(slot) + " nsid 0 prp1 0 c10 0 c11 0";
  };
  bench.run();
  const Lines commands(bench.lines.begin() + 2, bench.lines.end());
  CHECK(commands ==
        Lines{command("5100", 1), command("5100", 2), command("5100", 3), command("9100", 1)});
}

TEST_CASE("a command whose fetch failed is not written") {
  WireBench bench;
  bench.memory_status = pcie::kStatusUnsupportedRequest;
  bench.set_bar();
  bench.set_admin_queue(4);
  bench.fetch(kQueue, 64);
  CHECK(bench.run().size() == 2);
}

TEST_CASE("BAR0 is where it was written last, and as large as it was sized") {
  WireBench bench;
  WireBench::put(bench.config, 0x10, 0xFFFF'E004, 4);  // the answer to all ones: 8 KiB, 64 bits
  WireBench::put(bench.config, 0x14, 0xFFFF'FFFF, 4);
  bench.write(0x14, 1);  // not assigned yet
  bench.config_write(0x10, 0xFFFF'FFFF);
  bench.config_read(0x10, 4);
  bench.config_write(0x14, 0xFFFF'FFFF);
  bench.config_read(0x14, 4);
  bench.config_write(0x10, 0x5000'0000);
  bench.config_write(0x14, 0);
  bench.write(0x14, 2);  // not there
  bench.send(bench.host, kWrite, 0x5000'0014, 4, 3);
  bench.set_bar();
  bench.write(0x14, 4);
  bench.write(0x2014, 5);  // beyond 8 KiB
  bench.send(bench.host, kWrite, 0x5000'0014, 4, 6);
  CHECK(bench.run() == Lines{"9000 MMIO W 4 @0014 CC    = 3", "12000 MMIO W 4 @0014 CC    = 4"});
}

TEST_CASE("the register behind a 32-bit BAR0 is another BAR") {
  WireBench bench;
  WireBench::put(bench.config, 0x10, 0, 4);
  bench.config_read(0x10, 4);
  bench.config_write(0x10, 0x5000'0000);
  bench.config_write(0x14, 0x6000'0000);
  bench.send(bench.host, kWrite, 0x5000'0014, 4, 7);
  CHECK(bench.run() == Lines{"4000 MMIO W 4 @0014 CC    = 7"});
}

}  // namespace
}  // namespace nvmesim::tests
