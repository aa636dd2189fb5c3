// A controller that does as the test says: it fetches, answers and interrupts like a real one, with
// Identify data, register values and statuses that the test chooses. It has no timing of its own
// and no data: reads fill nothing. What it sees is written down.
#pragma once

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "device/spec/commands.hpp"
#include "device/spec/features.hpp"
#include "device/spec/identify.hpp"
#include "pcie/function.hpp"
#include "sim/base/scheduler.hpp"

namespace nvmesim::test {

namespace spec = device::spec;

class ScriptedDevice : public pcie::FunctionDevice {
 public:
  // What a command is answered with.
  struct Answer {
    std::uint16_t status = 0;  // as in the completion entry without its phase bit
    std::uint32_t result = 0;
    bool drop = false;          // no answer at all
    std::uint16_t cid_xor = 0;  // answered under another command id
    bool interrupt = true;
  };

  ScriptedDevice(base::Scheduler& scheduler, pcie::FunctionPort& port)
      : scheduler_(scheduler), port_(port) {
    cap = spec::Cap{};
    cap.set(15, 0, 1023);
    cap.set(31, 24, 20);
    cap.set(37, 37, 1);
    identify.vid = 0x1b36;
    identify.ver = version;
    identify.nn = 1;
    identify.acl = 3;
    identify.subnqn.fill(0);
    std::memcpy(identify.subnqn.data(), "nqn.test", 8);
    identify.sn.fill(' ');
    identify.mn.fill(' ');
    identify.fr.fill(' ');
    ns.nsze = ns.ncap = 1 << 20;
    ns.lbaf[0].lbads = 9;
  }

  spec::Cap cap;
  std::uint32_t version = spec::kVersion14;
  spec::IdentifyController identify{};
  spec::IdentifyNamespace ns{};
  std::vector<std::uint32_t> nsids{1};
  std::uint32_t queues_granted = 64;
  std::uint32_t io_entry_bytes = 64;  // how far entries of I/O submission queues lie apart
  bool ready_follows_enable = true;
  std::uint32_t csts_extra = 0;                  // bits added to CSTS
  bool gone = false;                             // all registers read as ones
  std::map<std::uint32_t, std::uint32_t> fixed;  // registers that read as this
  // A controller memory buffer from here to the end of the BAR; 0: none. Where the host put it.
  std::uint32_t cmb_offset = 0;
  std::uint64_t cmb_address = 0;
  // Asked first for every command; without a value the default answer is given.
  std::function<std::optional<Answer>(std::uint16_t qid, const spec::SubmissionEntry&)> script;
  // Up to 4 KiB to be read by a command that `script` leaves alone, in place of what it would get.
  std::function<std::optional<std::vector<std::byte>>(std::uint16_t qid,
                                                      const spec::SubmissionEntry&)>
      content;

  unsigned cmb_writes = 0;
  unsigned cmb_fetches = 0;
  // Looks at the tail that a shadow doorbell holds.
  void poll_shadow(std::uint16_t qid, std::uint32_t tail) {
    queues_[qid].sq_tail = tail;
    fetch(qid);
  }
  std::vector<std::string> wire;
  struct Seen {
    std::uint16_t qid;
    spec::SubmissionEntry entry;
    base::Time when;
  };
  std::vector<Seen> io;
  struct Bell {
    std::uint16_t qid;
    bool completion;
    std::uint32_t value;
  };
  std::vector<Bell> bells;

  // Completes the outstanding event request.
  void fire_event(std::uint32_t dword) {
    NVMESIM_ASSERT(event_cid_.has_value(), "no event request is outstanding");
    const std::uint16_t cid = *event_cid_;
    event_cid_.reset();
    Answer answer;
    answer.result = dword;
    post(0, cid, answer);
  }
  bool event_requested() const { return event_cid_.has_value(); }
  // A completion that nobody asked for.
  void post(std::uint16_t qid, std::uint16_t cid, const Answer& answer) {
    Queue& queue = queues_[qid];
    spec::CompletionEntry entry{};
    entry.dw0 = answer.result;
    entry.sqhd = static_cast<std::uint16_t>(queue.sq_head);
    entry.sqid = qid;
    entry.cid = cid ^ answer.cid_xor;
    entry.status = static_cast<std::uint16_t>(answer.status << 1 | unsigned{queue.phase});
    const auto bytes = std::as_bytes(std::span(&entry, 1));
    port_.dma_write(queue.cq_base + queue.cq_tail * sizeof entry, bytes, {},
                    {.relaxed_ordering = false}, nothing());
    if (++queue.cq_tail == queue.cq_size) {
      queue.cq_tail = 0;
      queue.phase = !queue.phase;
    }
    if (queue.interrupts && answer.interrupt) port_.interrupt(pcie::VectorId(queue.vector));
  }

  void bar_write(unsigned, std::uint64_t offset, std::span<const std::byte> data) override {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data(), std::min<std::size_t>(4, data.size()));
    const auto at = static_cast<std::uint32_t>(offset);
    if (cmb_offset != 0 && at >= cmb_offset) {
      const std::size_t place = at - cmb_offset;
      if (cmb_.size() < place + data.size()) cmb_.resize(place + data.size());
      std::memcpy(cmb_.data() + place, data.data(), data.size());
      ++cmb_writes;
      return;
    }
    if (at >= spec::kDoorbellBase) {
      doorbell(at - spec::kDoorbellBase, value);
      return;
    }
    wire.push_back(fmt::format("W {} {:x}", spec::register_name(at), value));
    registers_[at] = value;
    if (at == spec::kRegCc) control(value);
  }
  void bar_read(unsigned, std::uint64_t offset, std::span<std::byte> data) override {
    const auto at = static_cast<std::uint32_t>(offset);
    const std::string line = fmt::format("R {}", spec::register_name(at));
    if (line != "R CSTS" || wire.empty() || wire.back() != line) wire.push_back(line);
    std::uint32_t value = 0;
    if (at == spec::kRegCap)
      value = static_cast<std::uint32_t>(cap.value);
    else if (at == spec::kRegCap + 4)
      value = static_cast<std::uint32_t>(cap.value >> 32);
    else if (at == spec::kRegVs)
      value = version;
    else if (at == spec::kRegCsts)
      value = csts_ | csts_extra;
    else if (fixed.count(at) != 0)
      value = fixed[at];
    else if (registers_.count(at) != 0)
      value = registers_[at];
    if (gone) value = 0xffff'ffff;
    std::memcpy(data.data(), &value, std::min<std::size_t>(4, data.size()));
  }
  void function_reset() override {}

 private:
  struct Queue {
    std::uint64_t sq_base = 0, cq_base = 0;
    std::uint32_t sq_size = 0, cq_size = 0, sq_head = 0, sq_tail = 0, cq_tail = 0;
    std::uint16_t vector = 0;
    bool interrupts = true, phase = true, busy = false;
    spec::SubmissionEntry entry{};
  };

  base::Callback nothing() { return base::Callback::of<&ScriptedDevice::sent>(this); }
  void sent() {}

  void control(std::uint32_t value) {
    const spec::Cc cc{value};
    if (cc.en() && cc.shn() != 0) {
      csts_ |= 8;  // shut down at once
    } else if (cc.en()) {
      queues_.clear();
      Queue& admin = queues_[0];
      admin.sq_size = (registers_[spec::kRegAqa] & 0xfff) + 1;
      admin.cq_size = (registers_[spec::kRegAqa] >> 16 & 0xfff) + 1;
      admin.sq_base = base_of(spec::kRegAsq);
      admin.cq_base = base_of(spec::kRegAcq);
      csts_ = ready_follows_enable ? 1 : 0;
    } else {
      csts_ = 0;
      port_.drop_requests();
      queues_.clear();
      event_cid_.reset();
    }
  }
  std::uint64_t base_of(std::uint32_t at) {
    return registers_[at] | std::uint64_t{registers_[at + 4]} << 32;
  }

  void doorbell(std::uint32_t offset, std::uint32_t value) {
    const std::uint32_t index = offset / (4u << cap.dstrd());
    const auto qid = static_cast<std::uint16_t>(index / 2);
    bells.push_back({qid, index % 2 != 0, value});
    if (index % 2 != 0) return;
    queues_[qid].sq_tail = value;
    fetch(qid);
  }
  void fetch(std::uint16_t qid) {
    Queue& queue = queues_[qid];
    if (queue.busy || queue.sq_head == queue.sq_tail || queue.sq_base == 0) return;
    queue.busy = true;
    if (cmb_address != 0 && queue.sq_base >= cmb_address &&
        queue.sq_base - cmb_address + queue.sq_head * 64 + 64 <= cmb_.size()) {
      std::memcpy(&queue.entry, cmb_.data() + (queue.sq_base - cmb_address) + queue.sq_head * 64,
                  64);
      ++cmb_fetches;
      scheduler_.after<&ScriptedDevice::fetched>(100ns, this, qid);
      return;
    }
    port_.dma_read(queue.sq_base + queue.sq_head * (qid == 0 ? 64 : io_entry_bytes),
                   std::as_writable_bytes(std::span(&queue.entry, 1)), {},
                   base::Callback::of<&ScriptedDevice::fetched>(this, qid));
  }
  void fetched(std::uint64_t argument) {
    const auto qid = static_cast<std::uint16_t>(argument);
    Queue& queue = queues_[qid];
    queue.busy = false;
    if (++queue.sq_head == queue.sq_size) queue.sq_head = 0;
    const spec::SubmissionEntry entry = queue.entry;
    handle(qid, entry);
    fetch(qid);
  }

  void handle(std::uint16_t qid, const spec::SubmissionEntry& entry) {
    if (qid == 0)
      wire.push_back(fmt::format("{:02x} nsid {:x} {:x} {:x}", entry.opc, entry.nsid, entry.cdw10,
                                 entry.cdw11));
    else
      io.push_back({qid, entry, scheduler_.now()});
    Answer answer;
    if (script)
      if (const auto scripted = script(qid, entry)) answer = *scripted;
    if (answer.status == 0 && !answer.drop && !send_data(qid, entry) && qid == 0 &&
        !admin(entry, answer))
      return;
    if (!answer.drop) post(qid, entry.cid, answer);
  }

  // True if the test has data for this command.
  bool send_data(std::uint16_t qid, const spec::SubmissionEntry& entry) {
    if (!content) return false;
    const auto bytes = content(qid, entry);
    if (!bytes) return false;
    base::BufferRef page = pool_.take();
    std::memcpy(page->data(), bytes->data(), bytes->size());
    port_.dma_write(entry.prp1, std::span<const std::byte>(page->data(), bytes->size()), page, {},
                    nothing());
    return true;
  }

  // False if there is no answer now.
  bool admin(const spec::SubmissionEntry& entry, Answer& answer) {
    switch (static_cast<spec::AdminOpcode>(entry.opc)) {
      case spec::AdminOpcode::kIdentify:
        return identify_page(entry, answer);
      case spec::AdminOpcode::kCreateIoCq: {
        Queue& queue = queues_[static_cast<std::uint16_t>(entry.cdw10)];
        queue = Queue{};
        queue.cq_base = entry.prp1;
        queue.cq_size = (entry.cdw10 >> 16) + 1;
        queue.vector = static_cast<std::uint16_t>(entry.cdw11 >> 16);
        queue.interrupts = (entry.cdw11 & 2) != 0;
        return true;
      }
      case spec::AdminOpcode::kCreateIoSq: {
        Queue& queue = queues_[static_cast<std::uint16_t>(entry.cdw10)];
        queue.sq_base = entry.prp1;
        queue.sq_size = (entry.cdw10 >> 16) + 1;
        return true;
      }
      case spec::AdminOpcode::kSetFeatures:
        if ((entry.cdw10 & 0xff) == 7 && answer.result == 0)
          answer.result = (queues_granted - 1) | (queues_granted - 1) << 16;
        return true;
      case spec::AdminOpcode::kAsyncEventRequest:
        event_cid_ = entry.cid;
        return false;
      default:
        return true;
    }
  }

  bool identify_page(const spec::SubmissionEntry& entry, Answer& answer) {
    base::BufferRef page = pool_.take();
    std::memset(page->data(), 0, 4096);
    switch (entry.cdw10 & 0xff) {
      case 0x00:
        std::memcpy(page->data(), &ns, sizeof ns);
        break;
      case 0x01:
        std::memcpy(page->data(), &identify, sizeof identify);
        break;
      case 0x02: {
        std::size_t at = 0;
        for (const std::uint32_t nsid : nsids)
          if (nsid > entry.nsid) std::memcpy(page->data() + 4 * at++, &nsid, 4);
        break;
      }
      case 0x03: {
        const std::array<std::uint8_t, 12> eui{
            1, 8, 0, 0, 9, 9, 9, 9, 9, 9, 9, static_cast<std::uint8_t>(entry.nsid)};
        std::memcpy(page->data(), eui.data(), eui.size());
        break;
      }
      default:
        answer.status = 0x4002;
        return true;
    }
    port_.dma_write(entry.prp1, std::span<const std::byte>(page->data(), 4096), page, {},
                    nothing());
    return true;
  }

  base::Scheduler& scheduler_;
  pcie::FunctionPort& port_;
  base::BufferPool pool_{4096};
  std::map<std::uint32_t, std::uint32_t> registers_;
  std::map<std::uint16_t, Queue> queues_;
  std::vector<std::byte> cmb_;
  std::uint32_t csts_ = 0;
  std::optional<std::uint16_t> event_cid_;
};

}  // namespace nvmesim::test
