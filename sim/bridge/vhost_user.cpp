#include "sim/bridge/vhost_user.hpp"

#include <fmt/format.h>

#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::bridge {
namespace {

constexpr std::uint32_t kVersion = 1;
constexpr std::uint32_t kVersionMask = 3;
constexpr std::uint32_t kFlagReply = 1u << 2;
constexpr std::uint32_t kFlagNeedReply = 1u << 3;
constexpr std::uint32_t kMostPayload = 4096;

constexpr std::uint64_t kFeatureProtocolFeatures = 1ull << 30;
constexpr std::uint64_t kFeatureVersion1 = 1ull << 32;  // virtio 1.0
constexpr std::uint64_t kProtocolReplyAck = 1u << 3;
constexpr std::uint64_t kProtocolBackendRequests = 1u << 5;
constexpr std::uint64_t kProtocolInbandNotifications = 1u << 14;
constexpr std::uint64_t kProtocolFeatures =
    kProtocolReplyAck | kProtocolBackendRequests | kProtocolInbandNotifications;

constexpr std::uint64_t kVringNoFd = 1u << 8;
constexpr std::uint32_t kBackendVringCall = 4;

struct VringState {
  std::uint32_t index;
  std::uint32_t number;
};
struct VringAddresses {
  std::uint32_t index;
  std::uint32_t flags;
  std::uint64_t descriptors;
  std::uint64_t used;
  std::uint64_t available;
  std::uint64_t log;
};
static_assert(sizeof(VringAddresses) == 40);
struct MemoryTable {
  std::uint32_t regions;
  std::uint32_t padding;
};
struct RegionEntry {
  std::uint64_t guest_address;
  std::uint64_t size;
  std::uint64_t user_address;
  std::uint64_t mmap_offset;
};
static_assert(sizeof(RegionEntry) == 32);

template <class Struct>
Struct read(std::span<const std::byte> payload) {
  if (payload.size() < sizeof(Struct))
    throw PeerError("the kernel sent a message that is too short");
  Struct value;
  std::memcpy(&value, payload.data(), sizeof value);
  return value;
}

}  // namespace

std::optional<unsigned> VhostUserServer::serve() {
  while (!kick_pending_) {
    const auto bytes = front_.bytes();
    if (bytes.size() < sizeof(VhostUserHeader)) return std::nullopt;
    const auto header = read<VhostUserHeader>(bytes);
    if ((header.flags & kVersionMask) != kVersion || (header.flags & kFlagReply) != 0 ||
        header.size > kMostPayload) {
      throw PeerError("the kernel sent a vhost-user message with a wrong header");
    }
    if (bytes.size() < sizeof header + header.size) return std::nullopt;
    const Payload payload = bytes.subspan(sizeof header, header.size);
    ++messages_;
    if (header.request == static_cast<std::uint32_t>(VhostUserRequest::kVringKick)) {
      const auto state = read<VringState>(payload);
      queue_of(state.index);
      kick_pending_ = true;
      kick_wants_reply_ = (header.flags & kFlagNeedReply) != 0;
      front_.consume(sizeof header + header.size);
      return state.index;
    }
    handle(header, payload);
    front_.consume(sizeof header + header.size);
  }
  return std::nullopt;
}

void VhostUserServer::finish_kick() {
  NVMESIM_ASSERT(kick_pending_, "a kick was finished that never came");
  kick_pending_ = false;
  if (kick_wants_reply_) {
    answer_number(static_cast<std::uint32_t>(VhostUserRequest::kVringKick), 0);
  }
}

void VhostUserServer::handle(const VhostUserHeader& header, Payload payload) {
  switch (static_cast<VhostUserRequest>(header.request)) {
    case VhostUserRequest::kGetFeatures:
      return answer_number(header.request, kFeatureProtocolFeatures | kFeatureVersion1);
    case VhostUserRequest::kGetProtocolFeatures:
      return answer_number(header.request, kProtocolFeatures);
    case VhostUserRequest::kGetVringBase: {
      VringState state = read<VringState>(payload);
      state.number = queue_of(state.index).next_available();
      queue_of(state.index).enable(false);
      return answer(header.request, std::as_bytes(std::span(&state, 1)));
    }
    case VhostUserRequest::kSetProtocolFeatures:
      if (read<std::uint64_t>(payload) != kProtocolFeatures) {
        throw PeerError("the kernel does not take part in what time travel over vhost-user needs");
      }
      break;
    case VhostUserRequest::kSetFeatures:
    case VhostUserRequest::kSetOwner:
    case VhostUserRequest::kResetOwner:
      break;
    case VhostUserRequest::kSetMemTable:
      set_memory(payload);
      break;
    case VhostUserRequest::kSetVringNum: {
      const auto state = read<VringState>(payload);
      queue_of(state.index).set_size(state.number);
      break;
    }
    case VhostUserRequest::kSetVringAddr:
      set_addresses(payload);
      break;
    case VhostUserRequest::kSetVringBase: {
      const auto state = read<VringState>(payload);
      queue_of(state.index).set_base(static_cast<std::uint16_t>(state.number));
      break;
    }
    case VhostUserRequest::kSetVringKick:
    case VhostUserRequest::kSetVringCall:
    case VhostUserRequest::kSetVringErr:
      // Notifications go through the stream; descriptors for them are not needed.
      if ((read<std::uint64_t>(payload) & kVringNoFd) == 0) front_.take_fd();
      break;
    case VhostUserRequest::kSetVringEnable: {
      const auto state = read<VringState>(payload);
      queue_of(state.index).enable(state.number != 0);
      break;
    }
    case VhostUserRequest::kSetBackendRequestFd:
      set_call_channel();
      break;
    default:
      throw PeerError(fmt::format("the kernel sent vhost-user message {}, which nobody offered it",
                                  header.request));
  }
  if ((header.flags & kFlagNeedReply) != 0) answer_number(header.request, 0);
}

Virtqueue& VhostUserServer::queue_of(std::uint32_t index) {
  if (index >= kQueues) throw PeerError("the kernel names a virtqueue that is not there");
  return queues_[index];
}

void VhostUserServer::set_memory(Payload payload) {
  const auto table = read<MemoryTable>(payload);
  payload = payload.subspan(sizeof table);
  if (table.regions == 0 || table.regions > GuestMemory::kMostRegions ||
      table.regions > front_.fds()) {
    throw PeerError("the kernel sent a table of memory without the descriptors for it");
  }
  // Queues and accesses under way point into it.
  if (memory_set_) throw PeerError("the kernel changes its memory while it runs");
  memory_set_ = true;
  for (std::uint32_t i = 0; i < table.regions; ++i) {
    const auto entry = read<RegionEntry>(payload);
    payload = payload.subspan(sizeof entry);
    const Fd file = front_.take_fd();
    memory_.add({entry.guest_address, entry.size, entry.user_address, entry.mmap_offset}, file);
  }
}

void VhostUserServer::set_call_channel() {
  Fd fd = front_.take_fd();
  if (!fd) throw PeerError("the kernel sent no descriptor for calls");
  back_.emplace(std::move(fd), "the kernel");
}

void VhostUserServer::set_addresses(Payload payload) {
  const auto addresses = read<VringAddresses>(payload);
  queue_of(addresses.index)
      .set_addresses(memory_, addresses.descriptors, addresses.available, addresses.used);
}

void VhostUserServer::answer_number(std::uint32_t request, std::uint64_t value) {
  answer(request, std::as_bytes(std::span(&value, 1)));
}

void VhostUserServer::answer(std::uint32_t request, Payload payload) {
  std::array<std::byte, sizeof(VhostUserHeader) + 16> bytes;
  const VhostUserHeader header{request, kVersion | kFlagReply,
                               static_cast<std::uint32_t>(payload.size())};
  NVMESIM_ASSERT(payload.size() <= 16, "an answer of vhost-user is too long");
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, payload.data(), payload.size());
  front_.send(std::span(bytes).first(sizeof header + payload.size()));
}

void VhostUserServer::call(unsigned queue) {
  NVMESIM_ASSERT(back_ && !call_open_, "a call while another one is open");
  struct {
    VhostUserHeader header;
    VringState state;
  } const message{{kBackendVringCall, kVersion | kFlagNeedReply, sizeof(VringState)}, {queue, 0}};
  static_assert(sizeof message == 20);
  call_open_ = true;
  back_->send_struct(message);
}

bool VhostUserServer::receive_answer() {
  if (!back_->receive()) return false;
  constexpr std::size_t kAnswer = sizeof(VhostUserHeader) + sizeof(std::uint64_t);
  const auto bytes = back_->bytes();
  if (bytes.size() < kAnswer) return true;
  const auto header = read<VhostUserHeader>(bytes);
  if (!call_open_ || header.request != kBackendVringCall || header.size != sizeof(std::uint64_t) ||
      (header.flags & (kVersionMask | kFlagReply)) != (kVersion | kFlagReply)) {
    throw PeerError("the kernel answered a call with something else");
  }
  if (read<std::uint64_t>(bytes.subspan(sizeof header)) != 0) {
    throw PeerError("the kernel knows nothing of the virtqueue that it is called for");
  }
  back_->consume(kAnswer);
  ++messages_;
  call_open_ = false;
  return true;
}

}  // namespace nvmesim::bridge
