// Device Self-test, Sanitize and Keep Alive (sections 5.8, 5.24, 5.16).
#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

bool test_runs_elsewhere(const Core& core) {
  if (!core.config.self_test.single) return false;
  for (const Core* each : core.subsystem.controllers) {
    if (each != nullptr && each->self_test.running()) return true;
  }
  return false;
}

std::uint32_t capability_of(unsigned action) {
  switch (action) {
    case spec::kSanitizeBlockErase:
      return spec::kSanicapBlock;
    case spec::kSanitizeOverwrite:
      return spec::kSanicapOverwrite;
    case spec::kSanitizeCryptoErase:
      return spec::kSanicapCrypto;
    default:
      return 0;
  }
}

}  // namespace

void device_self_test(Core& core, Command& command) {
  const unsigned operation = spec::bits(command.sqe.cdw10, 3, 0);
  const std::uint32_t nsid = command.sqe.nsid;
  if (operation == spec::kSelfTestAbort) {
    core.self_test.stop(spec::SelfTestResult::kAborted);
    core.complete(command, Status::kSuccess);
  } else if (operation != spec::kSelfTestShort && operation != spec::kSelfTestExtended) {
    core.reject(command, Status::kInvalidField, "STC is reserved", "5.8");
  } else if (nsid != 0 && nsid != spec::kNsidAll && core.namespaces.find(nsid) == nullptr) {
    core.reject(command, Status::kInvalidNamespace, "NSID names no namespace", "5.8");
  } else if (core.self_test.running() || test_runs_elsewhere(core)) {
    core.reject(command, Status::kSelfTestInProgress, "a self-test runs already", "5.8");
  } else {
    core.self_test.start(operation, nsid);
    core.complete(command, Status::kSuccess);
  }
}

void sanitize(Core& core, Command& command) {
  const spec::SanitizeFields fields{command.sqe.cdw10};
  Sanitize& operation = core.subsystem.sanitize;
  if (fields.action() == spec::kSanitizeExitFailure) {
    operation.exit_failure();
    core.complete(command, Status::kSuccess);
  } else if ((capability_of(fields.action()) & core.config.sanitize.sanicap) == 0) {
    core.reject(command, Status::kInvalidField, "SANICAP has no such sanitize action", "5.24");
  } else if (fields.ndas() &&
             (core.features.value(spec::FeatureId::kSanitizeConfig) & spec::kSanitizeNodrm) == 0) {
    core.reject(command, Status::kInvalidField, "No Deallocate After Sanitize is not supported",
                "5.24");
  } else if (core.subsystem.any_formatting()) {
    core.reject(command, Status::kFormatInProgress, "a namespace is being formatted", "5.24");
  } else if ((core.memory.read(spec::kRegPmrctl) & 1) != 0) {
    core.reject(command, Status::kSanitizeProhibitedByPmr, "PMRCTL.EN is 1", "5.24");
  } else if (core.subsystem.firmware.next() != 0) {
    core.reject(command, Status::kFirmwareNeedsControllerReset,
                "a firmware activation waits for its reset", "5.24");
  } else {
    operation.start(core, command.sqe.cdw10);
    core.complete(command, Status::kSuccess);
  }
}

void keep_alive(Core& core, Command& command) {
  core.keep_alive.restart();
  core.complete(command, Status::kSuccess);
}

}  // namespace nvmesim::device
