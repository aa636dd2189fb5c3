// Configuration that is kept over what loses it.
#include "pcie/saved_config.hpp"

#include "pcie/below_link.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/pcie/full_bench.hpp"

namespace nvmesim::pcie {
namespace {

using test::FullBench;

const RequesterId kRootPort = make_id(0, 0, 0);

// The root port resets and switches the link with its endpoint.
struct ResetBench : FullBench {
  BelowLink below{drives[0].link, drives[0].endpoint};
  ResetBench() : FullBench(1, quick()) {
    root.ports[0].attach_below(below);
    root.ports[0].set_link(drives[0].link);
    options.aspm = AspmLimit::l1_2;
    options.max_read_request_bytes = 1024;
  }
  static LinkConfig quick() {
    LinkConfig config;
    config.training.detect_us = 10;
    config.training.equalization_us = 10;
    config.training.hot_reset_us = 10;
    return config;
  }
  std::vector<std::uint32_t> words() {
    std::vector<std::uint32_t> all;
    for (unsigned offset = 0; offset < 0x200; offset += 4) {
      all.push_back(host.read32(functions[0].id, offset));
    }
    return all;
  }
  void wait_for_link() {
    while (!drives[0].link.up()) host.sleep(10us);
  }
};

}  // namespace

TEST_CASE("after a hot reset the restored function is as it was, and works") {
  ResetBench bench;
  bench.run([&] {
    const RequesterId id = bench.functions[0].id;
    SavedConfig saved;
    CHECK_FALSE(saved.saved());
    saved.save(bench.host, id);
    const auto before = bench.words();
    const std::uint32_t control = bench.host.read32(kRootPort, 0x3C);
    bench.host.write32(kRootPort, 0x3C, control | 1U << 22);
    bench.host.write32(kRootPort, 0x3C, control);
    bench.wait_for_link();
    CHECK(bench.words() != before);
    CHECK(bench.host.read32(id, 0x10) == 4);  // no BAR
    saved.restore(bench.host);
    CHECK(bench.words() == before);
    CHECK(bench.host.readl(bench.bar()) == 0x0302'0100);
    CHECK(bench.drives[0].device.resets == 1);
  });
}

TEST_CASE("after D3cold, too, and the function has its number again") {
  ResetBench bench;
  bench.run([&] {
    const RequesterId id = bench.functions[0].id;
    SavedConfig saved;
    saved.save(bench.host, id);
    const auto before = bench.words();
    const unsigned slot = find_capability(bench.host, kRootPort, kCapabilityPciExpress) + 0x18;
    bench.host.write32(kRootPort, slot, 1U << 10);
    bench.host.sleep(100us);
    CHECK(bench.host.read32(id, 0) == ~0U);
    bench.host.write32(kRootPort, slot, 0);
    bench.wait_for_link();
    CHECK(bench.drives[0].endpoint.id() == RequesterId(0));
    saved.restore(bench.host);
    CHECK(bench.drives[0].endpoint.id() == id);
    CHECK(bench.words() == before);
  });
}

TEST_CASE("what was not saved is not restored") {
  ResetBench bench;
  bench.run([&] {
    const auto before = bench.words();
    SavedConfig().restore(bench.host);
    CHECK(bench.words() == before);
  });
}

}  // namespace nvmesim::pcie
