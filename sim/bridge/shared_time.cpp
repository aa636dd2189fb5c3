#include "sim/bridge/shared_time.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

namespace nvmesim::bridge {
namespace {

constexpr std::uint32_t kSharedVersion = 2;
constexpr std::uint32_t kSharesTime = 1;  // a client's capability
constexpr std::uint32_t kWantsToRun = 1;  // a client's flag
constexpr std::uint16_t kController = 0;
constexpr std::uint16_t kClients = 2;

template <class Value>
Value load(const Value& from) {
  return std::atomic_ref<Value>(const_cast<Value&>(from)).load(std::memory_order_acquire);
}
template <class Value>
void store(Value& to, Value value) {
  std::atomic_ref<Value>(to).store(value, std::memory_order_release);
}

}  // namespace

struct SharedTime::Layout {
  std::uint32_t version;
  std::uint32_t bytes;
  std::uint64_t free_until;
  std::uint64_t current_time;
  std::uint16_t running;
  std::uint16_t clients_room;
  std::uint8_t reserved[4096 - 28];
  struct Client {
    std::uint32_t capabilities;
    std::uint32_t flags;
    std::uint64_t request;
    std::uint64_t name;
    std::uint8_t reserved[128 - 24];
  } clients[kClients];
};

SharedTime::SharedTime()
    : memory_(memfd_create("nvmesim-time", MFD_CLOEXEC | MFD_ALLOW_SEALING)),
      log_(::open("/dev/null", O_WRONLY | O_CLOEXEC)) {
  static_assert(sizeof(Layout) == 4096 + kClients * 128);
  void* place = MAP_FAILED;
  if (memory_ && log_ && ftruncate(memory_.get(), sizeof(Layout)) == 0 &&
      fcntl(memory_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0) {
    place = mmap(nullptr, sizeof(Layout), PROT_READ | PROT_WRITE, MAP_SHARED, memory_.get(), 0);
  }
  if (place == MAP_FAILED) {
    throw PeerError(
        fmt::format("no memory to share the time with the kernel: {}", std::strerror(errno)));
  }
  shared_ = static_cast<Layout*>(place);
  shared_->version = kSharedVersion;
  shared_->bytes = sizeof(Layout);
  shared_->running = kKernel;
  shared_->clients_room = kClients;
  shared_->clients[kController].capabilities = kSharesTime;
}

SharedTime::~SharedTime() {
  munmap(shared_, sizeof(Layout));
}

bool SharedTime::used() const {
  return (load(shared_->clients[kKernel].capabilities) & kSharesTime) != 0;
}

SharedTime::Ns SharedTime::current_time() const {
  return load(shared_->current_time);
}

std::optional<SharedTime::Ns> SharedTime::requested() const {
  const Layout::Client& kernel = shared_->clients[kKernel];
  if ((load(kernel.flags) & kWantsToRun) == 0) return std::nullopt;
  return load(kernel.request);
}

void SharedTime::let_run(Ns now, Ns free_until) {
  store(shared_->current_time, now);
  store(shared_->free_until, free_until);
  store(shared_->running, kKernel);
}

void SharedTime::limit(Ns free_until) {
  store(shared_->free_until, free_until);
}

void SharedTime::take(Ns now) {
  store(shared_->running, kController);
  store(shared_->current_time, now);
}

}  // namespace nvmesim::bridge
