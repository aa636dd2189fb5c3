#include "models/xpoint/xpoint_media.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "models/state/state_io.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {
XpointMedia::XpointMedia(const MediaConfig& config, base::Scheduler& scheduler, std::uint64_t seed,
                         base::StatisticsRegistry& statistics, const std::string& name,
                         ConstructionOrder order)
    : scheduler_(scheduler),
      units_(config.capacity_bytes / kUnitBytes),
      pages_(config.map_cache.bytes == 0 ? 0 : table_pages(units_)),
      config_(config.xpoint),
      store_(units_, config.keep_data, config.keep_metadata, points_),
      records_(units_ + pages_),
      channels_(config_.channels),
      read_pace_(base::Pace::bytes_per_second(std::uint64_t{config_.read_mb_per_s} * 1'000'000)),
      write_pace_(base::Pace::bytes_per_second(std::uint64_t{config_.write_mb_per_s} * 1'000'000)),
      random_(seed, name + ".xpoint"),
      free_slots_(config_.write_slots),
      prefilled_(units_ * config_.prefill_percent / 100),
      used_(prefilled_) {
  if (units_ == 0) throw base::UserError("capacity_bytes: less than one 4 KiB unit");
  if (units_ + pages_ > 0xFFFF'FFFF)
    throw base::UserError("capacity_bytes: more than 16 TiB of XPoint");
  for (std::uint32_t i = 0; i < config_.channels; ++i) {
    const std::uint32_t number =
        order == ConstructionOrder::kForward ? i : config_.channels - 1 - i;
    const std::string channel_name = fmt::format("{}.channel{}", name, number);
    channels_[number] = std::make_unique<Channel>(channel_name);
    Channel* channel = channels_[number].get();
    statistics.add_utilisation(channel_name, "channel", [channel] { return channel->line.busy(); });
    for (std::uint32_t way = 0; way < config_.dies_per_channel; ++way) {
      channel->dies.push_back(
          std::make_unique<base::Timeline>(fmt::format("{}.die{}", channel_name, way)));
      const base::Timeline* die = channel->dies.back().get();
      statistics.add_utilisation(die->name(), "die", [die] { return die->busy(); });
    }
  }
  statistics.add(name + ".xpoint.reads", "1", "4 KiB units read from the medium", reads_);
  statistics.add(name + ".xpoint.writes", "1", "4 KiB units written to the medium", writes_);
  statistics.add_level(name + ".xpoint.mapped_units", "1", "4 KiB units with data",
                       [this] { return used_; });
  statistics.add(name + ".read.commands", "1", "read commands", read_commands_);
  statistics.add(name + ".read.unmapped_commands", "1",
                 "of them, with a unit that was never written or is deallocated",
                 unmapped_commands_);
  statistics.add(name + ".xpoint.integrity_errors", "1",
                 "reads whose record did not name the unit asked for", integrity_errors_);
}

XpointMedia::Records& XpointMedia::touch(std::uint64_t index) {
  return records_.touch(index, [this](Records& fresh, std::uint64_t first, bool) {
    fresh = {};
    for (std::uint64_t i = 0; i < 64; ++i) {
      if (!prefilled(first + i)) continue;
      fresh.units[i] = static_cast<std::uint32_t>(first + i);
      fresh.written[i] = fresh.expected[i] = 1;
    }
  });
}

std::uint8_t XpointMedia::expected(std::uint64_t unit) const {
  const auto found = records_.find(unit);
  if (found.leaf != nullptr) return found.leaf->expected[unit % 64];
  return std::uint8_t{prefilled(unit)};
}

base::Timeline& XpointMedia::die_of(std::uint64_t place) {
  Channel& channel = channel_of(place);
  return *channel.dies[place / channels_.size() % channel.dies.size()];
}

base::Time XpointMedia::read_time() {
  base::Time time = base::nanoseconds(std::uint64_t{config_.command_ns} + config_.read_ns);
  if (config_.jitter_ns > 0) {
    const std::uint64_t bound = std::uint64_t{config_.jitter_ns} * 1000 + 1;
    time += base::Time{static_cast<std::int64_t>(random_.below(bound))};
  }
  if (config_.tail_per_million > 0 && random_.chance(config_.tail_per_million, 1'000'000)) {
    time += base::nanoseconds(config_.tail_ns);
  }
  return time;
}

XpointMedia::Access* XpointMedia::take(MediaPart* part, MediaCommand* command) {
  Access* access = accesses_.take();
  *access = Access{};
  access->part = part;
  access->command = command;
  if (part != nullptr) {
    access->unit = part->unit;
    access->offset = part->offset;
    access->bytes = part->bytes;
    part->command = command;
    part->media_data = as_argument(access);
  }
  access->place = access->unit.value();
  return access;
}

void XpointMedia::start(MediaCommand& command) {
  command.status = MediaStatus::kOk;
  command.media_data = 0;
  command.stages.open(scheduler_.now());
  command.parts_open = static_cast<std::uint32_t>(command.parts.size());
  for (const MediaPart& part : command.parts) {
    NVMESIM_ASSERT(part.unit.value() < units_, "a part beyond the capacity");
    NVMESIM_ASSERT(part.bytes > 0 && part.offset + part.bytes <= kUnitBytes,
                   "a part beyond its unit");
  }
  switch (command.op) {
    case MediaOp::kRead:
      start_read(command);
      break;
    case MediaOp::kWrite:
      start_write(command);
      break;
    default:
      start_range(command);
      break;
  }
}

// The look-up is the same for all, so the die is entered in order and can be reserved from here.
void XpointMedia::start_read(MediaCommand& command) {
  NVMESIM_ASSERT(!command.parts.empty(), "a read without parts");
  const base::Time now = scheduler_.now();
  const base::Time looked_up = now + mapping_time();
  bool all_mapped = true;
  for (MediaPart& part : command.parts) {
    part.stages.open(now);
    part.stages.stamp(base::Stage::kMapping, looked_up);
    part.data.reset();
    Access* access = take(&part, &command);
    const bool mapped = expected(part.unit.value()) != 0;
    all_mapped = all_mapped && mapped;
    scheduler_.at(looked_up,
                  mapped
                      ? base::Callback::of<&XpointMedia::array_read>(this, as_argument(access))
                      : base::Callback::of<&XpointMedia::read_unmapped>(this, as_argument(access)));
  }
  ++read_commands_;
  unmapped_commands_ += all_mapped ? 0 : 1;
}

void XpointMedia::read_unmapped(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  MediaPart* part = access->part;
  accesses_.give(access);
  if (part != nullptr) delivery_.read_ready(*part, MediaStatus::kOk);
}

void XpointMedia::array_read(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  if (access->part == nullptr) {
    accesses_.give(access);
    return;
  }
  if (points_.map_lookup.armed()) {
    PhysicalUnit place{access->place};
    points_.map_lookup(access->unit, place);
    access->place = place.value() % units_;
  }
  ++reads_;
  const base::Time now = scheduler_.now();
  const base::Time time = read_time();
  const base::Time start = die_of(access->place).reserve(now, time);
  access->part->stages.stamp(base::Stage::kDieWaitRead, start);
  access->part->stages.stamp(base::Stage::kArray, start + time);
  scheduler_.at<&XpointMedia::read_done>(start + time, this, argument);
}

// The array has given the data: channel and ECC, then the client.
void XpointMedia::read_done(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  if (access->part == nullptr) {
    accesses_.give(access);
    return;
  }
  const base::Time duration = read_pace_(kUnitBytes);
  const base::Time start = channel_of(access->place).line.reserve(scheduler_.now(), duration);
  const base::Time decoded = start + duration + base::nanoseconds(config_.ecc_ns);
  base::StageRecord& stages = access->part->stages;
  stages.stamp(base::Stage::kChannelWait, start);
  stages.stamp(base::Stage::kChannel, start + duration);
  stages.stamp(base::Stage::kEcc, decoded);
  scheduler_.at<&XpointMedia::deliver>(decoded, this, argument);
}

void XpointMedia::deliver(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  MediaPart* part = access->part;
  if (part == nullptr) {
    accesses_.give(access);
    return;
  }
  std::uint64_t found = 0;
  const MediaStatus status = check(*access, found);
  accesses_.give(access);
  if (found < units_) part->data = store_.read(UnitId{found});
  delivery_.read_ready(*part, status);
}

// `found`: the unit whose data lies at the place; beyond the capacity if there is none.
MediaStatus XpointMedia::check(const Access& access, std::uint64_t& found) {
  found = units_;
  const auto at = records_.find(access.place);
  const std::uint64_t i = access.place % 64;
  const bool untouched = at.leaf == nullptr;
  const std::uint8_t written =
      untouched ? std::uint8_t{prefilled(access.place)} : at.leaf->written[i];
  const bool any = written != 0;
  if (any) found = untouched ? access.place : at.leaf->units[i];
  // Deallocated since the look-up: reads as zeroes.
  const std::uint8_t wanted = expected(access.unit.value());
  if (wanted == 0) {
    found = units_;
    return MediaStatus::kOk;
  }
  if (any && found == access.unit.value() && written == wanted) return MediaStatus::kOk;
  ++integrity_errors_;
  return MediaStatus::kIntegrity;
}

void XpointMedia::start_write(MediaCommand& command) {
  NVMESIM_ASSERT(!command.parts.empty(), "a write without parts");
  for (MediaPart& part : command.parts) {
    part.stages.open(scheduler_.now());
    waiting_.push(take(&part, &command));
  }
  schedule_grant();
}

void XpointMedia::schedule_grant() {
  if (grant_pending_ || waiting_.empty()) return;
  grant_pending_ = true;
  scheduler_.at<&XpointMedia::grant>(scheduler_.now(), this);
}

void XpointMedia::grant() {
  grant_pending_ = false;
  while (!waiting_.empty() && free_slots_ > 0) {
    Access* access = waiting_.pop();
    if (access->command == nullptr && !access->page) {
      accesses_.give(access);
      continue;
    }
    --free_slots_;
    if (access->part == nullptr) {
      send_in(*access);
      continue;
    }
    access->part->data = store_.take_buffer();
    access->part->stages.stamp(base::Stage::kBuffer, scheduler_.now());
    access->granted = true;
    delivery_.ready(*access->part);
  }
}

void XpointMedia::write_arrived(MediaPart& part) {
  auto* access = reinterpret_cast<Access*>(part.media_data);
  NVMESIM_ASSERT(access != nullptr && access->granted, "data arrived for a part that has no room");
  access->data = std::move(part.data);
  send_in(*access);
}

void XpointMedia::send_in(Access& access) {
  const base::Time now = scheduler_.now();
  access.granted = false;
  const base::Time duration = base::nanoseconds(config_.command_ns) + write_pace_(kUnitBytes);
  const base::Time start = channel_of(access.place).line.reserve(now, duration);
  if (access.part != nullptr) {
    access.part->stages.stamp(base::Stage::kChannelWait, start);
    access.part->stages.stamp(base::Stage::kChannel, start + duration);
  }
  scheduler_.at<&XpointMedia::data_in>(start + duration, this, as_argument(&access));
}

void XpointMedia::data_in(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  base::Time time = base::nanoseconds(config_.write_ns);
  // A part of a unit is written after the rest was read into the die's registers.
  const bool partial = access->bytes < kUnitBytes;
  if (partial && expected(access->unit.value()) != 0) time += base::nanoseconds(config_.read_ns);
  const base::Time start = die_of(access->place).reserve(scheduler_.now(), time);
  if (access->part != nullptr) {
    access->part->stages.stamp(base::Stage::kDieWaitProgram, start);
    access->part->stages.stamp(base::Stage::kArray, start + time);
  }
  scheduler_.at<&XpointMedia::written>(start + time, this, argument);
}

// The unit is written at its place. True if there was nothing before.
bool XpointMedia::record(std::uint64_t unit) {
  Records& records = touch(unit);
  std::uint8_t& sequence = records.expected[unit % 64];
  const bool is_new = sequence == 0;
  sequence = static_cast<std::uint8_t>(records.written[unit % 64] % 255 + 1);
  records.written[unit % 64] = sequence;
  records.units[unit % 64] = static_cast<std::uint32_t>(unit);
  return is_new;
}

void XpointMedia::written(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  ++writes_;
  ++free_slots_;
  if (access->page) {
    page_written(*access);
    return;
  }
  base::BufferRef data = std::move(access->data);
  if (access->bytes < kUnitBytes) {
    data = store_.merged(store_.read(access->unit), data, access->offset, access->bytes);
  }
  store_.write(access->unit, data);
  if (record(access->unit.value())) ++used_;

  MediaCommand* command = access->command;
  if (access->part != nullptr) {
    access->part->media_data = 0;
  } else if (command != nullptr) {
    unlink_piece(*command, *access);
  }
  accesses_.give(access);
  schedule_grant();
  if (command != nullptr && --command->parts_open == 0) {
    command->media_data = 0;
    if (command->op != MediaOp::kWrite) {
      command->stages.stamp(base::Stage::kArray, scheduler_.now());
    }
    command->client->media_done(*command, command->status);
  }
}

}  // namespace nvmesim::models
