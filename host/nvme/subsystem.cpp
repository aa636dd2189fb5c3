#include "host/nvme/subsystem.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "device/spec/management.hpp"
#include "host/nvme/ctrl.hpp"

namespace nvmesim::host {

namespace {

constexpr std::uint8_t kCmicMultiController = 1u << 1;
constexpr std::uint8_t kCmicAna = 1u << 3;

}  // namespace

bool is_unique_nsid(const NvmeCtrl& ctrl, const NamespaceHead& head) {
  const device::spec::IdentifyController& id = ctrl.identify_data();
  return head.shared || (id.oacs & device::spec::kOacsNamespaces) != 0 ||
         (id.cmic & kCmicAna) != 0 || (id.ctratt & device::spec::kCtrattNvmSets) != 0;
}

Subsystem::Subsystem(std::string nqn, unsigned instance, std::uint8_t cmic, IoPolicy policy,
                     const GenerationFacts& facts)
    : nqn_(std::move(nqn)), instance_(instance), cmic_(cmic), policy_(policy), facts_(facts) {}

bool Subsystem::several_controllers() const {
  return (cmic_ & kCmicMultiController) != 0;
}

std::string Subsystem::refusal(const NvmeCtrl& joining) const {
  const device::spec::IdentifyController& id = joining.identify_data();
  for (const NvmeCtrl* other : controllers_) {
    if (is_terminal(other->state())) continue;
    if (other->identify_data().cntlid == id.cntlid)
      return fmt::format("Duplicate cntlid {} with {}, subsys {}, rejecting", id.cntlid,
                         other->name(), nqn_);
    if ((id.cmic & kCmicMultiController) == 0)
      return "Subsystem does not support multiple controllers";
  }
  return {};
}

void Subsystem::leave(const NvmeCtrl& ctrl) {
  std::erase(controllers_, &ctrl);
}

// In 6.1 private namespaces of several controllers may have the same NSID where nothing says that
// it is the same namespace.
NamespaceHead* Subsystem::find(const NvmeCtrl& ctrl, std::uint32_t nsid) const {
  for (const auto& head : heads_) {
    if (head->nsid != nsid) continue;
    if (!facts_.private_nsids_repeat || is_unique_nsid(ctrl, *head)) return head.get();
  }
  return nullptr;
}

NamespaceHead* Subsystem::attach(const NvmeCtrl& ctrl, std::uint32_t nsid, const NsIds& ids,
                                 bool shared, std::string& why) {
  NamespaceHead* head = find(ctrl, nsid);
  if (head == nullptr) {
    if (!ids_are_unique(ids)) {
      why = fmt::format("duplicate IDs for nsid {}", nsid);
      return nullptr;
    }
    heads_.push_back(std::make_unique<NamespaceHead>());
    head = heads_.back().get();
    head->nsid = nsid;
    head->number = free_number();
    head->ids = ids;
    head->shared = shared;
  } else if (!shared || !head->shared) {
    why = fmt::format("Duplicate unshared namespace {}", nsid);
    return nullptr;
  } else if (!(head->ids == ids)) {
    why = fmt::format("IDs don't match for shared namespace {}", nsid);
    return nullptr;
  }
  ++head->paths;
  return head;
}

void Subsystem::detach(NamespaceHead& head) {
  if (--head.paths != 0) return;
  const auto place = std::find_if(heads_.begin(), heads_.end(),
                                  [&head](const auto& each) { return each.get() == &head; });
  gone_.push_back(std::move(*place));
  heads_.erase(place);
}

bool Subsystem::ids_are_unique(const NsIds& ids) const {
  const NsIds none{};
  return std::none_of(heads_.begin(), heads_.end(), [&](const auto& other) {
    return (ids.uuid != none.uuid && ids.uuid == other->ids.uuid) ||
           (ids.nguid != none.nguid && ids.nguid == other->ids.nguid) ||
           (ids.eui64 != none.eui64 && ids.eui64 == other->ids.eui64);
  });
}

// The lowest number, from 1, that no disk has in its name.
unsigned Subsystem::free_number() const {
  unsigned number = 1;
  while (std::any_of(heads_.begin(), heads_.end(),
                     [number](const auto& head) { return head->number == number; }))
    ++number;
  return number;
}

Subsystem& Subsystems::find_or_make(std::string_view nqn, unsigned instance, std::uint8_t cmic,
                                    IoPolicy policy, const GenerationFacts& facts) {
  for (const auto& each : all_)
    if (!each->controllers().empty() && each->nqn() == nqn) return *each;
  all_.push_back(std::make_unique<Subsystem>(std::string(nqn), instance, cmic, policy, facts));
  return *all_.back();
}

bool Subsystems::instance_in_use(unsigned instance) const {
  return std::any_of(all_.begin(), all_.end(), [instance](const auto& each) {
    return !each->controllers().empty() && each->instance() == instance;
  });
}

}  // namespace nvmesim::host
