// The yardstick of the benchmark: one SC_METHOD that notifies itself N times, nothing else pending.
// Its instructions per activation are the unit in which the cost of an I/O is given.
#include <cstdlib>

#include "sim/base/systemc.hpp"

namespace {

struct Ticker : sc_core::sc_module {
  NVMESIM_HAS_PROCESS(Ticker);
  Ticker(sc_core::sc_module_name name, unsigned long count) : sc_module(name), left(count) {
    SC_METHOD(tick);
    sensitive << event;
  }
  void tick() {
    if (left-- > 0) event.notify(sc_core::sc_time(1, sc_core::SC_NS));
  }
  sc_core::sc_event event;
  unsigned long left;
};

}  // namespace

int sc_main(int argc, char** argv) {
  Ticker ticker("ticker", argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 100'000);
  sc_core::sc_start();
  return 0;
}
