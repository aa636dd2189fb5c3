// A bare host for media under test: starts commands, fills and checks data, remembers when each
// part was ready and when each command was done. Data words name their 512-byte sector and version.
#pragma once

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "models/map_cache_media.hpp"
#include "models/media_factory.hpp"
#include "models/nand_media.hpp"
#include "sim/base/random.hpp"
#include "sim/base/scheduler.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::models {

// A drive so small that collection starts soon: stripes of 4 units, superblocks of 256.
inline MediaConfig small_drive(std::uint64_t units = 4096) {
  MediaConfig config;
  config.capacity_bytes = units * kUnitBytes;
  config.nand.channels = 2;
  config.nand.dies_per_channel = 2;
  config.nand.planes_per_die = 2;
  config.nand.pages_per_block = 16;
  config.nand.page_bytes = 8192;
  config.ftl.over_provisioning_percent = 60;
  config.write_buffer.bytes = 64 * kUnitBytes;
  return config;
}

class Rig : public MediaClient {
 public:
  struct Io {
    MediaCommand command;
    std::vector<base::Time> ready;
    base::Time started{0};
    base::Time done{0};
    MediaStatus status = MediaStatus::kOk;
    bool finished = false;
    bool hold = false;          // write: data does not arrive by itself
    std::uint32_t version = 0;  // write: what the data says
    std::function<void(Io&)> then;
  };

  explicit Rig(const MediaConfig& config, ConstructionOrder order = ConstructionOrder::kForward,
               base::Time quantum = base::kTimeZero, std::uint64_t seed = 1)
      : scheduler("scheduler", quantum),
        media(make_media(config, scheduler, seed, statistics, "media", order)) {}

  NandMedia& nand() {
    auto* cached = dynamic_cast<MapCacheMedia*>(media.get());
    return dynamic_cast<NandMedia&>(cached != nullptr ? cached->inner() : *media);
  }
  bool has_map_cache() { return dynamic_cast<MapCacheMedia*>(media.get()) != nullptr; }
  MapCache& map_cache() { return dynamic_cast<MapCacheMedia&>(*media).cache(); }

  // Bytes [first_byte, first_byte + bytes), cut at unit borders.
  Io& make(MediaOp op, std::uint64_t first_byte, std::uint64_t bytes, std::uint32_t version = 0) {
    Io& io = ios.emplace_back();
    set(io, op, first_byte, bytes, version);
    return io;
  }
  void set(Io& io, MediaOp op, std::uint64_t first_byte, std::uint64_t bytes,
           std::uint32_t version) {
    io.command.op = op;
    io.command.first_byte = first_byte;
    io.command.bytes = bytes;
    io.command.client = this;
    io.command.client_data = reinterpret_cast<std::uint64_t>(&io);
    io.command.parts.clear();
    io.ready.clear();
    io.version = version;
    io.finished = false;
    if (op != MediaOp::kRead && op != MediaOp::kWrite) return;
    for (std::uint64_t at = first_byte; at < first_byte + bytes;) {
      const std::uint64_t stop = std::min(first_byte + bytes, (at / kUnitBytes + 1) * kUnitBytes);
      MediaPart part;
      part.unit = UnitId{at / kUnitBytes};
      part.offset = static_cast<std::uint32_t>(at % kUnitBytes);
      part.bytes = static_cast<std::uint32_t>(stop - at);
      part.client_data = io.command.parts.size();
      io.command.parts.push_back(part);
      at = stop;
    }
    io.ready.resize(io.command.parts.size());
  }
  void start(Io& io) {
    io.started = scheduler.now();
    io.finished = false;
    inside_start = true;
    media->start(io.command);
    inside_start = false;
  }
  Io& read(std::uint64_t unit, std::uint64_t units = 1) {
    Io& io = make(MediaOp::kRead, unit * kUnitBytes, units * kUnitBytes);
    start(io);
    return io;
  }
  Io& write(std::uint64_t unit, std::uint64_t units = 1, std::uint32_t version = 1) {
    Io& io = make(MediaOp::kWrite, unit * kUnitBytes, units * kUnitBytes, version);
    start(io);
    return io;
  }
  Io& command(MediaOp op, std::uint64_t unit = 0, std::uint64_t units = 0) {
    Io& io = make(op, unit * kUnitBytes, units * kUnitBytes);
    start(io);
    return io;
  }
  // Until nothing is pending.
  void run() { scheduler.simulate(); }
  std::uint64_t statistic(const std::string& name) const {
    for (const auto& each : statistics.statistics()) {
      if (each.name == "media." + name) return each.value();
    }
    FAIL("no statistic is called " << name);
    return 0;
  }

  void media_ready(MediaPart& part) override {
    Io& io = *reinterpret_cast<Io*>(part.command->client_data);
    CHECK_FALSE(inside_start);
    io.ready[part.client_data] = scheduler.now();
    CHECK(part.stages.start() == io.started);
    if (part.command->op == MediaOp::kRead) {
      CHECK(part.stages.last() == scheduler.now());
      return;
    }
    if (!io.hold) arrive(part);
  }
  void media_done(MediaCommand& command, MediaStatus status) override {
    Io& io = *reinterpret_cast<Io*>(command.client_data);
    CHECK_FALSE(inside_start);
    CHECK_FALSE(io.finished);
    io.finished = true;
    io.status = status;
    io.done = scheduler.now();
    base::Time last{0};
    for (const MediaPart& part : command.parts) last = std::max(last, part.stages.last());
    if (!command.parts.empty()) CHECK(last == io.done);
    if (command.parts.empty()) CHECK(command.stages.last() == io.done);
    if (io.then) io.then(io);
  }
  void arrive(MediaPart& part) {
    Io& io = *reinterpret_cast<Io*>(part.command->client_data);
    if (part.data) {
      for (std::uint32_t at = part.offset; at < part.offset + part.bytes; at += 8) {
        const std::uint64_t word = word_of(part.unit, at, io.version);
        std::memcpy(part.data->data() + at, &word, 8);
      }
    }
    media->write_arrived(part);
  }
  static std::uint64_t word_of(UnitId unit, std::uint32_t at, std::uint32_t version) {
    return (unit.value() * 8 + at / 512) << 32 | version;
  }
  // The version that a sector of a finished read carries; 0 for zeroes. Checks its every word.
  static std::uint32_t version_at(const MediaPart& part, std::uint32_t offset) {
    if (!part.data) return 0;
    std::uint64_t first = 0;
    std::memcpy(&first, part.data->data() + offset, 8);
    for (std::uint32_t at = offset; at < offset + 512; at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, part.data->data() + at, 8);
      if (word != first) return ~0u;
    }
    if (first == 0) return 0;
    const auto version = static_cast<std::uint32_t>(first);
    return first == word_of(part.unit, offset, version) ? version : ~0u;
  }
  static std::uint32_t version(const Io& io, std::size_t part = 0) {
    return version_at(io.command.parts[part], io.command.parts[part].offset);
  }

  base::Scheduler scheduler;
  base::StatisticsRegistry statistics;
  std::unique_ptr<Media> media;
  std::deque<Io> ios;
  bool inside_start = false;
};

}  // namespace nvmesim::models
