// nvmesim in a form that the command itself does not offer, for the determinism test:
//   variant reverse VERB ARGUMENTS...   channels are constructed in reverse order
//   variant foreign VERB ARGUMENTS...   a plain foreign TLM memory module is bound as host memory
#include <cstdio>
#include <memory>
#include <string>

#include "sim/app/simulation.hpp"
#include "tests/support/foreign_memory.hpp"

int sc_main(int argc, char** argv) {
  using namespace nvmesim;
  if (argc < 3) return 2;
  const std::string kind = argv[1];
  const std::string verb = argv[2];
  const app::Arguments arguments(argv + 3, argv + argc);
  system_::SystemHooks hooks;
  std::unique_ptr<test::ForeignMemory> memory;
  if (kind == "reverse") {
    hooks.construction = models::ConstructionOrder::kReverse;
  } else if (kind == "foreign") {
    hooks.foreign_memory = [&](pcie::RootComplex& root,
                               const host::HostConfig& host) -> tlm::tlm_fw_transport_if<>& {
      memory = std::make_unique<test::ForeignMemory>("memory", host);
      root.memory.bind(memory->socket);
      return *memory->socket.get_base_export().operator->();
    };
  } else {
    return 2;
  }
  try {
    return verb == "run" ? app::run_with(arguments, std::move(hooks))
                         : app::replay_with(arguments, std::move(hooks));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "variant: %s\n", error.what());
    return 2;
  }
}
