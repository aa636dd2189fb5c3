// NVM subsystems as the host knows them: which controllers belong together (by the subsystem's
// name), and what it knows of each namespace whichever controller leads to it. A controller joins
// when it has been identified for the first time and leaves when its removal has ended; a subsystem
// lasts as long as it has controllers.
//
// Objects stay valid until the driver goes, so that a disk that was removed can still be held.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/nvme/driver_config.hpp"
#include "host/nvme/ns_head.hpp"
#include "host/nvme/ns_info.hpp"

namespace nvmesim::host {

class NvmeCtrl;

// A namespace of the subsystem (nvme_ns_head).
struct NamespaceHead {
  std::uint32_t nsid = 0;
  unsigned number = 0;  // in the names of its disks
  NsIds ids;
  bool shared = false;
  unsigned paths = 0;              // controllers by which it is reached
  std::vector<std::byte> effects;  // log of its command set, if that is not NVM's
  std::unique_ptr<NsHead> disk;    // null: each controller's own disk is seen
};

class Subsystem {
 public:
  Subsystem(std::string nqn, unsigned instance, std::uint8_t cmic, IoPolicy policy,
            const GenerationFacts& facts);

  const std::string& nqn() const { return nqn_; }
  // Of its first controller, and in the names of its disks.
  unsigned instance() const { return instance_; }
  bool several_controllers() const;
  IoPolicy& policy() { return policy_; }

  // Empty, or why this controller cannot be a further one.
  std::string refusal(const NvmeCtrl& joining) const;
  void join(NvmeCtrl& ctrl) { controllers_.push_back(&ctrl); }
  void leave(const NvmeCtrl& ctrl);
  const std::vector<NvmeCtrl*>& controllers() const { return controllers_; }

  // One more path to a namespace. Null, and why, if it contradicts what is known.
  NamespaceHead* attach(const NvmeCtrl& ctrl, std::uint32_t nsid, const NsIds& ids, bool shared,
                        std::string& why);
  // One less; the last one takes the namespace along.
  void detach(NamespaceHead& head);

 private:
  NamespaceHead* find(const NvmeCtrl& ctrl, std::uint32_t nsid) const;
  bool ids_are_unique(const NsIds& ids) const;
  unsigned free_number() const;

  const std::string nqn_;
  const unsigned instance_;
  const std::uint8_t cmic_;
  IoPolicy policy_;
  const GenerationFacts facts_;
  std::vector<NvmeCtrl*> controllers_;
  std::vector<std::unique_ptr<NamespaceHead>> heads_;
  std::vector<std::unique_ptr<NamespaceHead>> gone_;
};

// All that the module knows.
class Subsystems {
 public:
  // The one of this name, made if there is none.
  Subsystem& find_or_make(std::string_view nqn, unsigned instance, std::uint8_t cmic,
                          IoPolicy policy, const GenerationFacts& facts);
  bool instance_in_use(unsigned instance) const;

 private:
  std::vector<std::unique_ptr<Subsystem>> all_;
};

// True if no other namespace of the subsystem may have the same NSID.
bool is_unique_nsid(const NvmeCtrl& ctrl, const NamespaceHead& head);

}  // namespace nvmesim::host
