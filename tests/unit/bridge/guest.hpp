// A kernel that has set up its two virtqueues, for tests of what comes through them.
#pragma once

#include "sim/bridge/pci_function.hpp"
#include "tests/unit/bridge/peer.hpp"

namespace nvmesim::test {

inline constexpr std::uint64_t kGuestBytes = 1 << 20;
inline constexpr std::uint16_t kQueueEntries = 64;

// Sends what User-Mode Linux sends; `handle` is called after each message.
class GuestSetUp {
 public:
  template <class Handle>
  GuestSetUp(Peer& peer, const bridge::Fd& file, Handle handle) {
    using Request = bridge::VhostUserRequest;
    const auto say = [&](Request request, std::vector<std::uint64_t> payload,
                         std::vector<int> fds = {}) {
      std::vector<std::byte> message(sizeof(bridge::VhostUserHeader) + payload.size() * 8);
      const bridge::VhostUserHeader header{static_cast<std::uint32_t>(request), 1,
                                           static_cast<std::uint32_t>(payload.size() * 8)};
      std::memcpy(message.data(), &header, sizeof header);
      std::memcpy(message.data() + sizeof header, payload.data(), payload.size() * 8);
      peer.send(message, fds);
      handle();
    };
    say(Request::kSetMemTable, {1, 0, kGuestBytes, 0, 0}, {file.get()});
    for (std::uint64_t queue : {0, 1}) {
      say(Request::kSetVringNum, {std::uint64_t{kQueueEntries} << 32 | queue});
      say(Request::kSetVringAddr, {queue, descriptors(queue), used(queue), available(queue), 0});
      say(Request::kSetVringEnable, {std::uint64_t{1} << 32 | queue});
    }
  }
  static std::uint64_t descriptors(std::uint64_t queue) { return 0x1'0000 + queue * 0x1'0000; }
  static std::uint64_t available(std::uint64_t queue) { return descriptors(queue) + 0x4000; }
  static std::uint64_t used(std::uint64_t queue) { return descriptors(queue) + 0x8000; }
};

// The driver's side of one queue, on the memory itself.
class GuestQueue {
 public:
  GuestQueue(const bridge::Fd& file, unsigned queue) : queue_(queue) {
    void* at = mmap(nullptr, kGuestBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
    REQUIRE(at != MAP_FAILED);
    memory_ = static_cast<std::byte*>(at);
  }
  ~GuestQueue() { munmap(memory_, kGuestBytes); }
  GuestQueue(const GuestQueue&) = delete;
  GuestQueue& operator=(const GuestQueue&) = delete;

  template <class Value>
  void put(std::uint64_t address, Value value) {
    std::memcpy(memory_ + address, &value, sizeof value);
  }
  template <class Value>
  Value get(std::uint64_t address) const {
    Value value{};
    std::memcpy(&value, memory_ + address, sizeof value);
    return value;
  }
  // Offers a chain: `out` bytes to read at `at`, then `in` bytes to write behind them.
  void offer(std::uint64_t at, std::uint32_t out, std::uint32_t in) {
    const unsigned head = 2 * (offered_ % (kQueueEntries / 2));
    describe(head, at, out, in != 0 ? 1 : 0, head + 1);
    if (in != 0) describe(head + 1, at + out, in, 2, 0);
    const std::uint64_t ring = GuestSetUp::available(queue_);
    put<std::uint16_t>(ring + 4 + 2 * (offered_ % kQueueEntries), static_cast<std::uint16_t>(head));
    put<std::uint16_t>(ring + 2, ++offered_);
  }
  void describe(unsigned index, std::uint64_t at, std::uint32_t bytes, unsigned flags,
                unsigned next) {
    const std::uint64_t place = GuestSetUp::descriptors(queue_) + 16 * index;
    put<std::uint64_t>(place, at);
    put<std::uint32_t>(place + 8, bytes);
    put<std::uint16_t>(place + 12, static_cast<std::uint16_t>(flags));
    put<std::uint16_t>(place + 14, static_cast<std::uint16_t>(next));
  }
  std::uint16_t done() const { return get<std::uint16_t>(GuestSetUp::used(queue_) + 2); }
  void offer_head(std::uint16_t head) {
    const std::uint64_t ring = GuestSetUp::available(queue_);
    put<std::uint16_t>(ring + 4 + 2 * (offered_ % kQueueEntries), head);
    put<std::uint16_t>(ring + 2, ++offered_);
  }

 private:
  const unsigned queue_;
  std::byte* memory_ = nullptr;
  std::uint16_t offered_ = 0;
};

// Stands for the root complex: answers what is not posted, after a while, with bytes that say where
// they come from.
struct Completer : sc_core::sc_module {
  void request(base::GenericPayload& payload) {
    seen.push_back({payload.is_write(), payload.get_address(), payload.get_data_length(),
                    scheduler.now(), pcie::tlp_of(payload).kind});
    if (pcie::is_posted(payload)) {
      port.respond(payload);
      return;
    }
    scheduler.after<&Completer::answer>(latency, this, reinterpret_cast<std::uint64_t>(&payload));
  }
  void answer(std::uint64_t which) {
    auto& payload = *reinterpret_cast<base::GenericPayload*>(which);
    for (unsigned i = 0; payload.is_read() && i < payload.get_data_length(); ++i) {
      payload.get_data_ptr()[i] = static_cast<unsigned char>(payload.get_address() + i);
    }
    payload.set_response_status(tlm::TLM_OK_RESPONSE);
    port.respond(payload);
  }
  unsigned debug(base::GenericPayload&) { return 0; }

  Completer(sc_core::sc_module_name name, base::Scheduler& used)
      : sc_module(name), scheduler(used), port("port", this, used) {}

  struct Seen {
    bool write;
    std::uint64_t address;
    unsigned bytes;
    base::Time at;
    pcie::TlpKind kind;
  };
  base::Scheduler& scheduler;
  base::Time latency{500'000};
  std::vector<Seen> seen;
  base::TargetSocket<Completer, &Completer::request, &Completer::debug> port;
};

}  // namespace nvmesim::test
