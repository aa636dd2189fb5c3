// A drive's state as a stream of bytes: numbers of variable length, texts, blocks of data, all
// behind one header (magic, version) and compressed, with a checksum at the end. Reading trusts
// nothing: what does not fit is a UserError of one line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace nvmesim::models {

class StateWriter {
 public:
  // 7 bits a byte, lowest first.
  void number(std::uint64_t value);
  void bytes(std::span<const std::byte> data);
  void text(std::string_view value);
  // The whole file.
  std::string finish() const;

 private:
  std::string payload_;
};

class StateReader {
 public:
  // `source` names the file in errors. Throws UserError if it is no state or damaged.
  StateReader(std::string_view file, std::string source);

  // A number of at most `most`; `what` names it in the error.
  std::uint64_t number(std::string_view what, std::uint64_t most = ~std::uint64_t{0});
  void bytes(std::span<std::byte> into);
  std::string text(std::string_view what, std::size_t most = 256);
  void expect(std::string_view what, std::uint64_t value);
  void end();
  // All that is not read yet.
  std::string rest() { return payload_.substr(std::exchange(at_, payload_.size())); }
  [[noreturn]] void fail(std::string_view what) const;

 private:
  std::string source_;
  std::string payload_;
  std::size_t at_ = 0;
};

}  // namespace nvmesim::models
