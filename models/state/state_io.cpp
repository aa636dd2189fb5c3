#include "models/state/state_io.hpp"

#include <fmt/format.h>

#include <boost/crc.hpp>
#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/device/array.hpp>
#include <boost/iostreams/device/back_inserter.hpp>
#include <boost/iostreams/filter/zlib.hpp>
#include <boost/iostreams/filtering_stream.hpp>
#include <cstring>
#include <exception>

#include "sim/base/assert.hpp"

namespace nvmesim::models {
namespace {

namespace io = boost::iostreams;

constexpr std::string_view kMagic = "NVMESIM\n";
constexpr char kVersion = 4;
constexpr std::size_t kCrcBytes = 4;

std::uint32_t crc_of(std::string_view text) {
  boost::crc_32_type crc;
  crc.process_bytes(text.data(), text.size());
  return crc.checksum();
}

}  // namespace

void StateWriter::number(std::uint64_t value) {
  while (value >= 0x80) {
    payload_.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  payload_.push_back(static_cast<char>(value));
}

void StateWriter::bytes(std::span<const std::byte> data) {
  payload_.append(reinterpret_cast<const char*>(data.data()), data.size());
}

void StateWriter::text(std::string_view value) {
  number(value.size());
  payload_ += value;
}

std::string StateWriter::finish() const {
  std::string file(kMagic);
  file.push_back(kVersion);
  const std::uint32_t crc = crc_of(payload_);
  for (std::size_t i = 0; i < kCrcBytes; ++i) file.push_back(static_cast<char>(crc >> (8 * i)));
  io::filtering_ostream stream;
  stream.push(io::zlib_compressor(io::zlib_params(1)));
  stream.push(io::back_inserter(file));
  stream.write(payload_.data(), static_cast<std::streamsize>(payload_.size()));
  stream.reset();
  return file;
}

StateReader::StateReader(std::string_view file, std::string source) : source_(std::move(source)) {
  const std::size_t header = kMagic.size() + 1 + kCrcBytes;
  if (file.size() < header || !file.starts_with(kMagic)) fail("not a saved state of a drive");
  if (file[kMagic.size()] != kVersion) {
    fail(fmt::format("saved by another version ({}, this program reads {})",
                     static_cast<int>(file[kMagic.size()]), static_cast<int>(kVersion)));
  }
  std::uint32_t crc = 0;
  std::memcpy(&crc, file.data() + kMagic.size() + 1, kCrcBytes);
  file.remove_prefix(header);
  try {
    io::filtering_istream stream;
    stream.push(io::zlib_decompressor());
    stream.push(io::array_source(file.data(), file.size()));
    io::copy(stream, io::back_inserter(payload_));
  } catch (const std::exception&) {
    fail("damaged: it cannot be decompressed");
  }
  if (crc_of(payload_) != crc) fail("damaged: its checksum is wrong");
}

void StateReader::fail(std::string_view what) const {
  throw base::UserError(fmt::format("{}: {}", source_, what));
}

std::uint64_t StateReader::number(std::string_view what, std::uint64_t most) {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    if (at_ == payload_.size()) fail(fmt::format("ends within {}", what));
    const auto byte = static_cast<unsigned char>(payload_[at_++]);
    value |= std::uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) {
      if (value > most) fail(fmt::format("{} is {}, at most {} is possible", what, value, most));
      return value;
    }
  }
  fail(fmt::format("{} is no number", what));
}

void StateReader::bytes(std::span<std::byte> into) {
  if (payload_.size() - at_ < into.size()) fail("ends within a block of data");
  std::memcpy(into.data(), payload_.data() + at_, into.size());
  at_ += into.size();
}

std::string StateReader::text(std::string_view what, std::size_t most) {
  const std::size_t size = number(what, most);
  if (payload_.size() - at_ < size) fail(fmt::format("ends within {}", what));
  at_ += size;
  return payload_.substr(at_ - size, size);
}

void StateReader::expect(std::string_view what, std::uint64_t value) {
  const std::uint64_t found = number(what);
  if (found != value) {
    fail(fmt::format("made by another drive: {} is {} there and {} here", what, found, value));
  }
}

void StateReader::end() {
  if (at_ != payload_.size()) fail("goes on behind its end");
}

}  // namespace nvmesim::models
