// A drive that says something else of itself: bytes of an Identify structure are changed on their
// way to the host. A pair of rules: one learns from the command where its data goes, the other
// changes the writes that carry it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "sim/fault/request_splice.hpp"
#include "sim/fault/rules.hpp"

namespace nvmesim::test {

class IdentifyEdit {
 public:
  // `cns`: of the structure; `nsid` 0: of every namespace. `skip`: so many answers stay as they
  // are.
  IdentifyEdit(std::uint8_t cns, std::uint32_t nsid, std::size_t offset,
               std::vector<std::uint8_t> bytes, unsigned skip = 0)
      : cns_(cns), nsid_(nsid), offset_(offset), bytes_(std::move(bytes)), skip_(skip) {}

  // For SystemHooks::link_faults.
  fault::RequestRule link_rule() const {
    fault::RequestRule rule;
    rule.count = fault::kAlways;
    rule.action = fault::RequestRule::Action::kChange;
    rule.when = [edit = *this](base::Splice::Direction direction,
                               const tlm::tlm_generic_payload& payload) {
      return direction == base::Splice::Direction::kUpstream && payload.is_write() &&
             payload.get_data_ptr() != nullptr && edit.overlaps(payload);
    };
    rule.change = [edit = *this](tlm::tlm_generic_payload& payload) { edit.change(payload); };
    return rule;
  }
  void arm(fault::Rules& rules) const {
    rules.change_command({.queues = fault::CommandMatch::Queues::kAdmin}, fault::kEveryTime,
                         [edit = *this](fault::spec::SubmissionEntry& entry) { edit.saw(entry); });
  }

 private:
  void saw(const fault::spec::SubmissionEntry& entry) const {
    constexpr auto kIdentify = static_cast<std::uint8_t>(fault::spec::AdminOpcode::kIdentify);
    const bool other = entry.opc != kIdentify || (entry.cdw10 & 0xff) != cns_;
    if (other || (nsid_ != 0 && entry.nsid != nsid_)) {
      *place_ = 0;  // the next command may use the same memory
    } else if (*seen_ < skip_) {
      ++*seen_;
      *place_ = 0;
    } else {
      *place_ = entry.prp1;
    }
  }
  bool overlaps(const tlm::tlm_generic_payload& payload) const {
    if (*place_ == 0) return false;
    const std::uint64_t first = *place_ + offset_;
    return payload.get_address() < first + bytes_.size() &&
           first < payload.get_address() + payload.get_data_length();
  }
  void change(tlm::tlm_generic_payload& payload) const {
    const std::uint64_t first = *place_ + offset_;
    for (std::size_t i = 0; i < bytes_.size(); ++i) {
      const std::uint64_t address = first + i;
      if (address < payload.get_address()) continue;
      const std::uint64_t at = address - payload.get_address();
      if (at < payload.get_data_length()) payload.get_data_ptr()[at] = bytes_[i];
    }
  }

  std::uint8_t cns_;
  std::uint32_t nsid_;
  std::size_t offset_;
  std::vector<std::uint8_t> bytes_;
  unsigned skip_;
  // Shared by the copies that the rules hold: where the data of the last command goes; 0: nowhere.
  std::shared_ptr<std::uint64_t> place_ = std::make_shared<std::uint64_t>(0);
  std::shared_ptr<unsigned> seen_ = std::make_shared<unsigned>(0);
};

}  // namespace nvmesim::test
