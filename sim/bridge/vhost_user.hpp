// The back-end's side of the vhost-user protocol, as far as a PCI function of User-Mode Linux needs
// it: feature negotiation, the memory table, virtqueues, notifications inside the stream. The
// protocol's specification is in QEMU's documentation (docs/interop/vhost-user.rst).
//
// The server answers everything but a kick: that goes to its owner, who sends finish_kick() when
// the kernel may go on.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "sim/bridge/connection.hpp"
#include "sim/bridge/guest_memory.hpp"
#include "sim/bridge/virtqueue.hpp"

namespace nvmesim::bridge {

struct VhostUserHeader {
  std::uint32_t request;
  std::uint32_t flags;
  std::uint32_t size;  // of the payload
};
static_assert(sizeof(VhostUserHeader) == 12);

// Front-end requests.
enum class VhostUserRequest : std::uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kResetOwner = 4,
  kSetMemTable = 5,
  kSetVringNum = 8,
  kSetVringAddr = 9,
  kSetVringBase = 10,
  kGetVringBase = 11,
  kSetVringKick = 12,
  kSetVringCall = 13,
  kSetVringErr = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kSetVringEnable = 18,
  kSetBackendRequestFd = 21,
  kVringKick = 35,
};

class VhostUserServer {
 public:
  static constexpr unsigned kQueues = 2;

  explicit VhostUserServer(Fd connection) : front_(std::move(connection), "the kernel") {}

  int fd() const { return front_.fd(); }
  // Messages that were handled, answers to calls among them.
  std::uint64_t messages() const { return messages_; }
  // -1 before the kernel has sent it.
  int call_fd() const { return back_ ? back_->fd() : -1; }

  // Reads what came; false if the kernel has closed. Throws PeerError.
  bool receive() { return front_.receive(); }
  // Handles whole messages that were received, up to the first kick: its queue is returned, and
  // nothing more is handled before finish_kick().
  std::optional<unsigned> serve();
  void finish_kick();
  bool in_kick() const { return kick_pending_; }

  // Tells the driver of used chains, and wants to know when it has taken note.
  void call(unsigned queue);
  // Reads the channel of calls, on which the kernel answers them; false if it has closed.
  bool receive_answer();
  bool call_open() const { return call_open_; }

  GuestMemory& memory() { return memory_; }
  Virtqueue& queue(unsigned index) { return queues_[index]; }

 private:
  using Payload = std::span<const std::byte>;
  void handle(const VhostUserHeader& header, Payload payload);
  void answer(std::uint32_t request, Payload payload);
  void answer_number(std::uint32_t request, std::uint64_t value);
  void set_memory(Payload payload);
  void set_call_channel();
  void set_addresses(Payload payload);
  Virtqueue& queue_of(std::uint32_t index);

  Connection front_;
  std::optional<Connection> back_;
  GuestMemory memory_;
  std::array<Virtqueue, kQueues> queues_;
  std::uint64_t messages_ = 0;
  bool memory_set_ = false;
  bool kick_pending_ = false;
  bool kick_wants_reply_ = false;
  bool call_open_ = false;
};

}  // namespace nvmesim::bridge
