// The kernel's side of a connection, for tests that play the kernel: whole messages, halves of
// them, descriptors, a sudden end.
#pragma once

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <span>
#include <vector>

#include "sim/bridge/connection.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {

class Peer {
 public:
  Peer() {
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    ours_ = bridge::Fd(ends[0]);
    theirs_ = bridge::Fd(ends[1]);
  }
  // On a connection that is there.
  explicit Peer(bridge::Fd connected) : ours_(std::move(connected)) {}
  bridge::Fd take() { return std::move(ours_); }

  // To be given to what is tested.
  bridge::Fd end() { return std::move(theirs_); }

  void send(std::span<const std::byte> bytes, const std::vector<int>& fds = {}) {
    iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) std::array<char, 1024> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
      std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
    }
    REQUIRE(sendmsg(ours_.get(), &message, MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size()));
  }
  template <class Message>
  void send_struct(const Message& message, const std::vector<int>& fds = {}) {
    send(std::as_bytes(std::span(&message, 1)), fds);
  }
  // What has come back; empty if nothing. Descriptors that came with it go to `fds`.
  std::vector<std::byte> received(std::vector<bridge::Fd>* fds = nullptr) {
    std::vector<std::byte> bytes(4096);
    iovec part{bytes.data(), bytes.size()};
    alignas(cmsghdr) std::array<char, 1024> control{};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t count = ::recvmsg(ours_.get(), &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    const cmsghdr* header = count > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (header == nullptr) return bytes;
    for (std::size_t at = CMSG_LEN(0); at < header->cmsg_len; at += sizeof(int)) {
      int fd = -1;
      std::memcpy(&fd, reinterpret_cast<const char*>(header) + at, sizeof fd);
      bridge::Fd owned(fd);
      if (fds != nullptr) fds->push_back(std::move(owned));
    }
    return bytes;
  }
  void close() { ours_.reset(); }

 private:
  bridge::Fd ours_;
  bridge::Fd theirs_;
};

inline bridge::Fd memory_file(std::size_t bytes) {
  bridge::Fd fd(memfd_create("guest", MFD_CLOEXEC));
  REQUIRE(ftruncate(fd.get(), static_cast<off_t>(bytes)) == 0);
  return fd;
}

}  // namespace nvmesim::test
