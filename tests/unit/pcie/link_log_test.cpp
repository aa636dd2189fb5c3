// The log of TLPs: what the link says it has cut its transfers into.
#include <string>

#include "pcie/link.hpp"
#include "pcie/tlp_log.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::pcie {
namespace {

using test::kHigh;
using test::LinkBench;

}  // namespace

TEST_CASE("the log lists a read's requests and the completions that carry its bytes") {
  LinkConfig config;
  config.read_completion_boundary_bytes = 64;
  LinkBench bench(config);
  std::vector<TlpRecord> log;
  bench.link.set_tlp_log([&](const TlpRecord& record) { log.push_back(record); });
  bench.script.at(5us, [&] {
    bench.endpoint.send(tlm::TLM_READ_COMMAND, kHigh, 1100, [](Tlp& tlp) {
      tlp.requester = RequesterId(0x0100);
      tlp.tag = 17;
      tlp.no_snoop = true;
    });
  });
  bench.run();
  REQUIRE(log.size() == 3 + 18);
  CHECK(log[0].when == base::Time(5us));
  CHECK(to_line(log[0]) ==
        "5000.000 ns  up    NP   MRd64   0x0000000100000000    512 B  01:00.0  tag 17 NS  1/3");
  CHECK(log[2].address == kHigh + 1024);
  CHECK(log[2].bytes == 76);
  std::uint32_t carried = 0;
  for (std::size_t i = 3; i < log.size(); ++i) {
    CHECK(log[i].type == TlpType::kCplD);
    CHECK(log[i].direction == Direction::kDown);
    CHECK(log[i].tag == 17);
    CHECK(log[i].address == kHigh + carried);
    carried += log[i].bytes;
  }
  CHECK(carried == 1100);
}

TEST_CASE("the log names each kind of request, its attributes, and a refusal") {
  LinkBench bench;
  std::vector<std::string> lines;
  bench.link.set_tlp_log([&](const TlpRecord& record) {
    const std::string line = to_line(record);
    lines.push_back(line.substr(line.find("ns") + 4));
  });
  bench.device.on_answer = [](test::GenericPayload& payload) {
    payload.set_response_status(kStatusUnsupportedRequest);
  };
  bench.script.at(1us, [&] {
    bench.root.write(0x1000, 4);
    bench.root.send(tlm::TLM_READ_COMMAND, 0x10, 4, [](Tlp& tlp) { tlp.kind = TlpKind::kConfig1; });
    bench.endpoint.write(kHigh, 8, [](Tlp& tlp) {
      tlp.relaxed_ordering = true;
      tlp.id_based_ordering = true;
      tlp.poisoned = true;
    });
    bench.endpoint.send(tlm::TLM_WRITE_COMMAND, 0, 0,
                        [](Tlp& tlp) { tlp.kind = TlpKind::kMessage; });
  });
  bench.script.at(1ms, [&] { bench.link.set_tlp_log({}); });
  bench.script.at(2ms, [&] { bench.root.write(0x1000, 4); });
  bench.run();
  CHECK(lines == std::vector<std::string>{
                     "down  P    MWr32   0x0000000000001000      4 B  00:00.0  tag 0",
                     "down  NP   CfgRd1  0x0000000000000010      4 B  00:00.0  tag 0",
                     "up    P    MWr64   0x0000000100000000      8 B  00:00.0  tag 0 RO IDO EP",
                     "up    P    Msg     0x0000000000000000      0 B  00:00.0  tag 0",
                     "up    CPL  Cpl     0x0000000000000010      0 B  00:00.0  tag 0 refused"});
}

}  // namespace nvmesim::pcie
