#include "sim/bridge/connection.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "sim/base/assert.hpp"
#include "sim/base/config.hpp"

namespace nvmesim::bridge {
namespace {

constexpr int kSendMs = 2000;

}  // namespace

void Fd::reset() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

Fd listen_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    throw base::UserError(
        fmt::format("{}: too long for the name of a socket; use a shorter "
                    "directory for temporary files (TMPDIR)",
                    path));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd.get(), 1) != 0) {
    throw base::UserError(fmt::format("{}: {}", path, std::strerror(errno)));
  }
  return fd;
}

bool Connection::receive() {
  constexpr std::size_t kChunk = 4096;
  std::array<std::byte, kChunk> chunk;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control;
  iovec part{chunk.data(), chunk.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (count < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return true;
    if (errno == ECONNRESET) return false;
    throw PeerError(fmt::format("{}: {}", name_, std::strerror(errno)));
  }
  for (cmsghdr* at = CMSG_FIRSTHDR(&message); at != nullptr; at = CMSG_NXTHDR(&message, at)) {
    if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t fds = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < fds; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(at) + i * sizeof(int), sizeof fd);
      fds_.emplace_back(fd);
    }
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0 || fds_.size() > kMostFds) {
    throw PeerError(fmt::format("{} sent too many file descriptors", name_));
  }
  if (count == 0) return false;
  if (begin_ == buffer_.size()) {
    buffer_.clear();
    begin_ = 0;
  }
  buffer_.insert(buffer_.end(), chunk.data(), chunk.data() + count);
  return true;
}

void Connection::consume(std::size_t count) {
  begin_ += count;
  if (begin_ < buffer_.size()) return;
  buffer_.clear();
  begin_ = 0;
}

Fd Connection::take_fd() {
  if (fds_.empty()) return {};
  Fd fd = std::move(fds_.front());
  fds_.pop_front();
  return fd;
}

void Connection::send(std::span<const std::byte> bytes, std::span<const int> fds) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  while (!bytes.empty()) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      NVMESIM_ASSERT(fds.size() <= kMostFds, "too many descriptors for one message");
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(fds.size_bytes());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size_bytes());
      std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    const ssize_t count = ::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      fds = {};
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      // A peer that reads what it asked for has room for megabytes.
      pollfd wait{fd_.get(), POLLOUT, 0};
      if (::poll(&wait, 1, kSendMs) == 0) {
        throw PeerError(fmt::format("{} does not read what it is sent", name_));
      }
    } else if (errno != EINTR) {
      throw PeerError(fmt::format("{} is gone: {}", name_, std::strerror(errno)));
    }
  }
}

}  // namespace nvmesim::bridge
