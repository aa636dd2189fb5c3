// File descriptors that close themselves, a listening Unix socket, and one end of a stream that is
// read without ever blocking: bytes gather until a whole message is there, descriptors that came
// with them in order. What the peer sends is only stored here; its meaning is checked by others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "sim/bridge/peer_error.hpp"

namespace nvmesim::bridge {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { reset(); }
  void reset();
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// A Unix stream socket that waits for one peer at `path`. Throws UserError if it cannot be made.
Fd listen_at(const std::string& path);

class Connection {
 public:
  // name: of the peer, for errors.
  Connection(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  int fd() const { return fd_.get(); }
  // Reads what is there. False if the peer has closed and nothing was left. Throws PeerError if
  // the connection broke, or if more than kMostFds descriptors wait.
  bool receive();
  std::span<const std::byte> bytes() const { return std::span(buffer_).subspan(begin_); }
  // Takes `count` bytes off the front.
  void consume(std::size_t count);
  // The oldest descriptor that came and was not taken; an empty one if there is none.
  Fd take_fd();
  std::size_t fds() const { return fds_.size(); }

  // All of it, descriptors with the first byte. Waits a little while the peer does not read; throws
  // PeerError if it never does, or is gone.
  void send(std::span<const std::byte> bytes, std::span<const int> fds = {});
  template <class Message>
  void send_struct(const Message& message, std::span<const int> fds = {}) {
    send(std::as_bytes(std::span(&message, 1)), fds);
  }

 private:
  static constexpr std::size_t kMostFds = 16;

  Fd fd_;
  std::string name_;
  std::vector<std::byte> buffer_;
  std::size_t begin_ = 0;
  std::deque<Fd> fds_;
};

}  // namespace nvmesim::bridge
