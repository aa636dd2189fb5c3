#include <fcntl.h>

#include <cstdlib>

#include "sim/app/verb.hpp"
#include "sim/base/systemc.hpp"

namespace {

// A result file must not get the number of a standard stream that was closed. What stands in its
// place fails as it did.
void keep_closed_streams() {
  for (int fd = 0; fd <= 2; ++fd) {
    if (fcntl(fd, F_GETFD) == -1) open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
}

}  // namespace

// libsystemc brings a main() that prints a banner first; this one asks it not to.
int main(int argc, char** argv) {
  keep_closed_streams();
  setenv("SYSTEMC_DISABLE_COPYRIGHT_MESSAGE", "1", 1);
  return sc_core::sc_elab_and_sim(argc, argv);
}

int sc_main(int argc, char** argv) {
  sc_core::sc_report_handler::set_actions("/OSCI/SystemC", sc_core::SC_DO_NOTHING);
  return nvmesim::app::nvmesim({argv + 1, argv + argc});
}
