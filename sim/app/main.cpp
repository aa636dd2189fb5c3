#include <cstdlib>

#include "sim/app/verb.hpp"
#include "sim/base/systemc.hpp"

// libsystemc brings a main() that prints a banner first; this one asks it not to.
int main(int argc, char** argv) {
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
  return sc_core::sc_elab_and_sim(argc, argv);
}

int sc_main(int argc, char** argv) {
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  return nvmesim::app::nvmesim({argv + 1, argv + argc});
}
