// Interrupts by MSI-X: vectors, affinity, handlers; and accesses of registers.
#include <cerrno>
#include <vector>

#include "pcie/host_port.hpp"
#include "tests/support/catch.hpp"
#include "tests/unit/host/kernel/interrupt_bench.hpp"

using namespace nvmesim;
using namespace nvmesim::host;
using namespace nvmesim::host::test;

TEST_CASE("affinity is spread over all processors, each in one group, sizes differing by one") {
  for (unsigned cpus = 1; cpus <= 24; ++cpus) {
    for (unsigned vectors = 1; vectors <= 30; ++vectors) {
      const std::vector<CpuMask> masks = spread_affinity(vectors, cpus);
      REQUIRE(masks.size() == vectors);
      CpuMask seen;
      for (unsigned i = 0; i < vectors; ++i) {
        if (i >= cpus) {
          CHECK(masks[i].count() == cpus);
          continue;
        }
        CHECK((masks[i] & seen).none());
        CHECK(masks[i].count() >= cpus / std::min(vectors, cpus));
        CHECK(masks[i].count() <= base::ceil_div(cpus, std::min(vectors, cpus)));
        seen |= masks[i];
      }
      CHECK(seen.count() == cpus);
    }
  }
}

TEST_CASE("affinity is spread over nodes first: no group in two nodes, or groups of whole nodes") {
  for (unsigned cpus = 1; cpus <= 20; ++cpus) {
    for (unsigned nodes = 1; nodes <= cpus; ++nodes) {
      std::vector<CpuMask> of_node(nodes);
      unsigned cpu = 0;
      for (unsigned node = 0; node < nodes; ++node) {
        CHECK(node_size(node, cpus, nodes) >= cpus / nodes);
        CHECK(node_size(node, cpus, nodes) <= base::ceil_div(cpus, nodes));
        for (unsigned i = 0; i < node_size(node, cpus, nodes); ++i) of_node[node].set(cpu++);
      }
      REQUIRE(cpu == cpus);
      for (unsigned vectors = 1; vectors <= cpus; ++vectors) {
        const std::vector<CpuMask> masks = spread_affinity(vectors, cpus, nodes);
        REQUIRE(masks.size() == vectors);
        CpuMask seen;
        for (const CpuMask& mask : masks) {
          CHECK(mask.any());
          CHECK((mask & seen).none());
          seen |= mask;
          unsigned touched = 0;
          bool whole = true;
          for (const CpuMask& node : of_node) {
            touched += (mask & node).any();
            whole &= (mask & node).none() || (mask & node) == node;
          }
          const bool fits = vectors > nodes ? touched == 1 : whole;
          CHECK(fits);
        }
        CHECK(seen.count() == cpus);
      }
    }
  }
  CHECK(spread_affinity(0, 8, 2).empty());
  // 5 vectors on nodes of 2, 3 and 3 processors: as many as a node has processors in proportion.
  const std::vector<CpuMask> masks = spread_affinity(5, 8, 3);
  std::vector<unsigned long> bits;
  for (const CpuMask& mask : masks) bits.push_back(mask.to_ulong());
  CHECK(bits == std::vector<unsigned long>{0b11, 0b1100, 0b10000, 0b1100000, 0b10000000});
}

TEST_CASE("vectors are written into the MSI-X table, spread, and enabled by request_irq") {
  QuietHost host(four_cpus());
  Interrupts& interrupts = host.machine.interrupts;
  Recorder handler(host.machine);
  host.machine.threads.spawn("probe", [&] {
    IrqAffinity affinity;
    affinity.pre_vectors = 1;
    affinity.calc_sets = [](unsigned n) { return std::vector<unsigned>{n - 2, 2}; };
    CHECK(interrupts.alloc_irq_vectors(kFunction, 17, 20, affinity) == -ENOSPC);
    CHECK(interrupts.alloc_irq_vectors(kFunction, 1, 7, affinity) == 7);
    CHECK((host.bus.message_control() & 0xc000) == 0x8000);
    std::vector<unsigned> cpus;
    for (unsigned i = 0; i < 7; ++i) {
      const std::uint32_t address = host.bus.msix(i, 0);
      CHECK((address & ~0xff000u) == pcie::kMsiWindowBase);
      CHECK(host.bus.msix(i, 1) == 0);
      CHECK(host.bus.msix(i, 3) == 1);
      cpus.push_back((address >> 12) & 0xff);
      CHECK(interrupts.affinity(kFunction, i).test(cpus.back()));
      CHECK(interrupts.cpu_of(kFunction, i).value() == cpus.back());
    }
    CHECK(std::vector<unsigned>(cpus.begin() + 1, cpus.begin() + 5) ==
          std::vector<unsigned>{0, 1, 2, 3});
    CHECK(interrupts.affinity(kFunction, 0).count() == 4);
    CHECK(interrupts.affinity(kFunction, 5).to_ulong() == 0b0011);
    CHECK(interrupts.affinity(kFunction, 6).to_ulong() == 0b1100);

    CHECK(interrupts.request_irq(kFunction, 7, handler, "x") == -EINVAL);
    CHECK(interrupts.request_irq(kFunction, 3, handler, "nvme0q3") == 0);
    host.machine.threads.sleep_for(1ns);  // the write that unmasks it is posted
    CHECK(host.bus.msix(3, 3) == 0);
    CHECK(host.bus.msix(2, 3) == 1);
    interrupts.free_irq(kFunction, 3, handler);
    CHECK(host.bus.msix(3, 3) == 1);
    interrupts.free_irq_vectors(kFunction);
    CHECK((host.bus.message_control() & 0x8000) == 0);
    CHECK(interrupts.vectors_in_use() == 0);
    CHECK(interrupts.handlers_in_use() == 0);
    CHECK(interrupts.alloc_irq_vectors(kFunction, 1, 1) == 1);
    CHECK(host.bus.msix(0, 0) == pcie::kMsiWindowBase);
    host.machine.log.print(PrintLevel::kInfo, "done");
  });
  sc_core::sc_start();
  CHECK(host.machine.log.contains("done"));
  CHECK(host.machine.requests_open() == 0);
}

TEST_CASE("the handler runs after the slice; messages within the slice are one with it") {
  QuietHost host(four_cpus());
  Recorder handler(host.machine);
  handler.work = 250ns;
  Device device{host};
  host.machine.threads.spawn("probe", [&] {
    host.machine.interrupts.alloc_irq_vectors(kFunction, 1, 4);
    host.machine.interrupts.request_irq(kFunction, 2, handler, "q");
    for (const base::Time at : {base::Time(1ms), base::Time(1ms + 400ns), base::Time(1ms + 999ns),
                                1ms + 1000ns + base::picoseconds(1)}) {
      host.scheduler.at<&Device::send>(at, &device, 2);
    }
  });
  sc_core::sc_start();
  // The last one came within the handler's own work, which ends at 1250 ns.
  CHECK(handler.times == std::vector<base::Time>{1ms + 1000ns, 1ms + 2250ns});
  CHECK(handler.cpus == std::vector<unsigned>{2, 2});
  const auto count = host.machine.interrupts.counts().at(2);
  CHECK(count.messages == 4);
  CHECK(count.merged == 2);
  CHECK(count.handled == 2);
  CHECK(host.machine.cpu(CpuId(2)).interrupt_busy() == 2500ns);
  CHECK(host.machine.cpu(CpuId(0)).busy() == 0ns);
}

TEST_CASE("a message to a disabled vector is remembered once") {
  QuietHost host(four_cpus());
  Recorder handler(host.machine);
  handler.result = IrqReturn::kNone;
  Device device{host};
  host.machine.threads.spawn("probe", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    interrupts.alloc_irq_vectors(kFunction, 1, 1);
    interrupts.request_irq(kFunction, 0, handler, "q");
    interrupts.disable_irq(kFunction, 0);
    interrupts.disable_irq(kFunction, 0);
    device.send(0);
    device.send(0);
    host.machine.threads.sleep_for(10us);
    interrupts.enable_irq(kFunction, 0);
    host.machine.threads.sleep_for(10us);
    CHECK(handler.times.empty());
    interrupts.enable_irq(kFunction, 0);
    host.machine.threads.sleep_for(10us);
    CHECK(handler.times.size() == 1);
    CHECK(interrupts.counts().at(0).none == 1);
  });
  sc_core::sc_start();
  CHECK(handler.times.size() == 1);
}

TEST_CASE("free_irq waits for a pending slice and nothing is called after it") {
  QuietHost host(four_cpus());
  Recorder mine(host.machine);
  Recorder other(host.machine);
  Device device{host};
  base::Time freed{0};
  host.machine.threads.spawn("probe", [&] {
    Interrupts& interrupts = host.machine.interrupts;
    interrupts.alloc_irq_vectors(kFunction, 1, 1);
    interrupts.request_irq(kFunction, 0, mine, "mine");
    interrupts.request_irq(kFunction, 0, other, "other");
    device.send(0);
    const base::Time sent = host.machine.now();
    interrupts.free_irq(kFunction, 0, mine);
    CHECK(host.machine.now() == sent + 1us);
    CHECK(mine.times.size() == 1);
    device.send(0);
    host.machine.threads.sleep_for(10us);
    interrupts.free_irq(kFunction, 0, other);
    device.send(0);
    host.machine.threads.sleep_for(10us);
    freed = host.machine.now();
  });
  sc_core::sc_start();
  CHECK(freed > 20us);
  CHECK(mine.times.size() == 1);
  CHECK(other.times.size() == 2);
  CHECK(host.machine.interrupts.spurious() == 1);
}

TEST_CASE("MMIO reads wait for the round trip, writes do not, a refused read is all ones") {
  QuietHost host(four_cpus());
  host.machine.threads.spawn("probe", [&] {
    Machine& machine = host.machine;
    machine.lo_hi_writeq(FakeBus::kBar + 0x28, 0x1122334455667788);
    CHECK(machine.now() == 0ns);
    CHECK(machine.readl(FakeBus::kBar + 0x2c) == 0x11223344);
    CHECK(machine.now() == FakeBus::kRoundTrip);
    CHECK(machine.lo_hi_readq(FakeBus::kBar + 0x28) == 0x1122334455667788);
    CHECK(machine.now() == 3 * FakeBus::kRoundTrip);
    CHECK(machine.readl(0xDEAD0000) == ~0u);
    CHECK(machine.read32(pcie::make_id(2, 0, 0), 0) == ~0u);
    machine.write16(kFunction, 0x06, 0xabcd);
    CHECK(machine.read32(kFunction, 0x04) == 0xabcd0000);
    CHECK(machine.read16(kFunction, 0x06) == 0xabcd);
    machine.log.print(PrintLevel::kWarning, "nvme {}: done", "nvme0");
  });
  sc_core::sc_start();
  REQUIRE(host.machine.log.lines().size() == 1);
  CHECK(host.machine.log.lines()[0].to_string() == "[    0.000006] nvme nvme0: done");
  CHECK(host.machine.requests_open() == 0);
}

TEST_CASE("a posted write charges the processor whose call-back it is in") {
  QuietHost host(four_cpus());
  struct Writer {
    QuietHost& host;
    base::Time second{0};
    void first_slice() {
      host.machine.writel(FakeBus::kBar + 0x1000, 1);
      host.machine.writel(FakeBus::kBar + 0x1004, 2);
    }
    void second_slice() { second = host.scheduler.now(); }
  } writer{host};
  Cpu& cpu = host.machine.cpu(CpuId(1));
  cpu.run(CpuPriority::kTask, 100ns, base::Callback::of<&Writer::first_slice>(&writer));
  cpu.run(CpuPriority::kTask, 100ns, base::Callback::of<&Writer::second_slice>(&writer));
  sc_core::sc_start();
  CHECK(writer.second == 300ns);
}

TEST_CASE("a kernel for one processor does not ask how vectors are split") {
  HostConfig config;
  config.cpus = 1;
  config.smp = false;
  QuietHost host(config);
  bool asked = false;
  int granted = 0;
  host.machine.threads.spawn("test", [&] {
    IrqAffinity affinity;
    affinity.pre_vectors = 1;
    affinity.calc_sets = [&](unsigned vectors) {
      asked = true;
      return std::vector<unsigned>{vectors};
    };
    granted = host.machine.interrupts.alloc_irq_vectors(kFunction, 1, 3, affinity);
  });
  host.scheduler.simulate();
  CHECK(granted == 3);
  CHECK_FALSE(asked);
}
