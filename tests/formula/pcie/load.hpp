// Traffic over one link for measurements: closed-loop streams and open-loop arrivals, any number of
// links in one simulation.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "pcie/link.hpp"
#include "sim/base/random.hpp"
#include "tests/unit/pcie/bench.hpp"

namespace nvmesim::test {

// A link with both its ends; requests are named by their addresses.
struct LoadedLink {
  base::Scheduler& scheduler;
  pcie::Link link;
  Requests root, endpoint;
  Serves memory, device;
  LinkSockets sockets;

  LoadedLink(const std::string& name, const pcie::LinkConfig& config, base::Scheduler& the)
      : scheduler(the),
        link((name + "_link").c_str(), config, the),
        root((name + "_root").c_str(), the),
        endpoint((name + "_endpoint").c_str(), the),
        memory((name + "_memory").c_str(), the),
        device((name + "_device").c_str(), the),
        sockets(name, the, link, root.out, device.in, endpoint.out, memory.in) {
    endpoint.on_response = [this](GenericPayload& payload) {
      Stream& stream = *streams[payload.get_address() >> 40];
      stream.done(*this, payload.get_address());
    };
  }

  // DMA of one size, `open` requests all the time, or each at its drawn time.
  struct Stream {
    std::uint64_t id = 1;  // its addresses are id << 40 and up
    bool write = false;
    std::uint32_t bytes = 4096;
    std::uint64_t count = 100;
    std::uint64_t warm_up = 0;  // that many are not measured
    std::uint64_t started = 0;
    std::uint64_t finished = 0;
    std::vector<Time> begins;
    base::Histogram latency;  // ps
    Time first{0};            // when the last of the warm-up ended
    Time last{0};

    void start(LoadedLink& load) {
      if (started == count) return;
      const std::uint64_t address = (id << 40) + (started++ << 20);
      begins.push_back(load.scheduler.now());
      if (write) {
        load.endpoint.write(address, bytes, [](pcie::Tlp& tlp) {
          tlp.relaxed_ordering = true;
          tlp.sent_awaited = true;
        });
      } else {
        load.endpoint.read(address, bytes);
      }
    }
    void done(LoadedLink& load, std::uint64_t address) {
      const Time now = load.scheduler.now();
      if (++finished == warm_up) first = now;
      if (finished > warm_up) {
        const Time took = now - begins[(address >> 20) & 0xF'FFFF];
        latency.add(static_cast<std::uint64_t>(took.count()));
        last = now;
      }
      if (closed) start(load);
    }
    double gbps() const {
      return static_cast<double>((finished - warm_up) * bytes) * 1000.0 /
             static_cast<double>((last - first).count());
    }
    bool closed = true;
  };
  std::unordered_map<std::uint64_t, Stream*> streams;  // looked up only

  void begin(Stream& stream, std::uint64_t open, Script& script) {
    streams[stream.id] = &stream;
    script.at(base::kTimeZero, [this, &stream, open] {
      for (std::uint64_t i = 0; i < open; ++i) stream.start(*this);
    });
  }
  // Gaps uniform from 0 to twice the mean.
  void arrive(Stream& stream, Time mean_gap, base::Random random, Script& script) {
    streams[stream.id] = &stream;
    stream.closed = false;
    Time at{0};
    for (std::uint64_t i = 0; i < stream.count; ++i) {
      at += Time{static_cast<std::int64_t>(
          random.below(2 * static_cast<std::uint64_t>(mean_gap.count()) + 1))};
      script.at(at, [this, &stream] { stream.start(*this); });
    }
  }
};

}  // namespace nvmesim::test
