// An NVMe 1.4 controller behind a PCIe function. It knows no TLM: accesses to its registers come in
// through pcie::FunctionDevice, everything that it sends goes out through pcie::FunctionPort, and
// data lives behind models::Media. All time passes in entries of the Scheduler.
//
// This class only joins the parts: what each does is in the file of its name (core.hpp lists them).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "device/controller_config.hpp"
#include "device/points.hpp"
#include "device/spec/management.hpp"
#include "models/media.hpp"
#include "pcie/function.hpp"
#include "sim/base/log.hpp"
#include "sim/base/scheduler.hpp"
#include "sim/base/stage.hpp"
#include "sim/base/statistics.hpp"

namespace nvmesim::device {

struct Core;
struct PersistentState;
class Subsystem;

class Controller : public pcie::FunctionDevice {
 public:
  // All references outlive the controller. keep_data says whether bytes mean anything in this run
  // (an empty MediaPart::data then stands for zeroes); without, data writes are marked dataless.
  // subsystem: the NVM subsystem that it joins as one more controller; one of its own if empty.
  // Throws UserError for a configuration that does not fit together.
  Controller(const ControllerConfig& config, base::Scheduler& scheduler, pcie::FunctionPort& port,
             models::Media& media, base::StageJoin& stages, const base::Log& log,
             bool keep_data = true, std::shared_ptr<Subsystem> subsystem = nullptr);
  ~Controller() override;
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  void bar_write(unsigned bar, std::uint64_t offset, std::span<const std::byte> data) override;
  void bar_read(unsigned bar, std::uint64_t offset, std::span<std::byte> data) override;
  void function_reset() override;

  // Where rules may look: fetched commands, completions, register accesses.
  Points& points();

  void register_statistics(base::StatisticsRegistry& registry, std::string_view prefix);

  // What the drive remembers without power. restore() throws UserError for a state that is not one
  // of this drive; it comes before the first enable.
  PersistentState save() const;
  void restore(const PersistentState& state, std::string_view source);
  // An asymmetric namespace access state changes (group: 1 to management.ana_groups).
  void set_ana_state(std::uint32_t group, spec::AnaState state);

  const ControllerConfig& config() const;
  // Commands fetched and not yet completed, outstanding Asynchronous Event Requests apart.
  std::uint64_t commands_in_flight() const;
  // One line per command in flight with its state, for hang reports.
  std::string describe_in_flight() const;

  // The parts, for tests.
  const Core& core() const { return *core_; }

 private:
  std::unique_ptr<Core> core_;
};

}  // namespace nvmesim::device
