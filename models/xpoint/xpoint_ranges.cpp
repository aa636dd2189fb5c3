// XpointMedia: deallocation and zeroes, cancelled commands, the saved state.
#include <algorithm>
#include <vector>

#include "models/state/state_io.hpp"
#include "models/xpoint/xpoint_media.hpp"
#include "sim/base/assert.hpp"

namespace nvmesim::models {

// Flush, deallocate, write zeroes. Whole units are unmapped at once; zeroes for the rest of a unit
// are written like other data.
void XpointMedia::start_range(MediaCommand& command) {
  if (command.op != MediaOp::kFlush) unmap_whole_units(command);
  if (command.op == MediaOp::kWriteZeroes) write_zero_pieces(command);
  if (command.parts_open > 0) {
    schedule_grant();
    return;
  }
  Access* access = take(nullptr, &command);
  command.media_data = as_argument(access);
  scheduler_.at<&XpointMedia::end_of_range>(scheduler_.now() + mapping_time(), this,
                                            as_argument(access));
}

void XpointMedia::unmap_whole_units(const MediaCommand& command) {
  const std::uint64_t end = command.first_byte + command.bytes;
  NVMESIM_ASSERT(end <= units_ * kUnitBytes, "a range beyond the capacity");
  const std::uint64_t first = base::ceil_div(command.first_byte, kUnitBytes);
  const std::uint64_t last = end / kUnitBytes;
  for (std::uint64_t unit = first; unit < last;) {
    if (unit >= prefilled_ && records_.node_untouched(unit)) {
      unit = (unit / records_.kNodeSize + 1) * records_.kNodeSize;
    } else {
      unmap(unit++);
    }
  }
  if (last > first) store_.clear(first, last - first);
}

// At most the first and the last unit are covered in part.
void XpointMedia::write_zero_pieces(MediaCommand& command) {
  const std::uint64_t end = command.first_byte + command.bytes;
  Access* sibling = nullptr;
  for (std::uint64_t byte = command.first_byte; byte < end;) {
    const std::uint64_t stop = std::min(end, (byte / kUnitBytes + 1) * kUnitBytes);
    if (stop - byte == kUnitBytes) {
      byte = std::max(stop, end / kUnitBytes * kUnitBytes);
      continue;
    }
    Access* access = take(nullptr, &command);
    access->unit = UnitId{byte / kUnitBytes};
    access->place = access->unit.value();
    access->offset = static_cast<std::uint32_t>(byte % kUnitBytes);
    access->bytes = static_cast<std::uint32_t>(stop - byte);
    access->sibling = sibling;
    sibling = access;
    waiting_.push(access);
    ++command.parts_open;
    byte = stop;
  }
  command.media_data = as_argument(sibling);
}

void XpointMedia::unmap(std::uint64_t unit) {
  if (expected(unit) == 0) return;
  touch(unit).expected[unit % 64] = 0;
  --used_;
}

void XpointMedia::end_of_range(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  MediaCommand* command = access->command;
  accesses_.give(access);
  if (command == nullptr) return;
  command->media_data = 0;
  command->stages.stamp(base::Stage::kMapping, scheduler_.now());
  command->client->media_done(*command, MediaStatus::kOk);
}

void XpointMedia::unlink_piece(MediaCommand& command, const Access& access) {
  auto* head = reinterpret_cast<Access*>(command.media_data);
  if (head == &access) {
    command.media_data = as_argument(access.sibling);
  } else if (head != nullptr && head->sibling == &access) {
    head->sibling = nullptr;
  }
}

// An access goes on for nobody, unless it only holds a slot: that is taken back.
void XpointMedia::forget(Access* access) {
  access->part = nullptr;
  access->command = nullptr;
  if (!access->granted) return;
  access->granted = false;
  ++free_slots_;
  accesses_.give(access);
}

void XpointMedia::cancel(MediaCommand& command) {
  delivery_.cancelled(command);
  for (MediaPart& part : command.parts) {
    if (part.media_data != 0) forget(reinterpret_cast<Access*>(part.media_data));
    part.media_data = 0;
    part.data.reset();
  }
  for (auto* access = reinterpret_cast<Access*>(command.media_data); access != nullptr;) {
    Access* sibling = access->sibling;
    forget(access);
    access = sibling;
  }
  command.media_data = 0;
  schedule_grant();
}

// Nothing is volatile. An access that is in its die or on its channel was cancelled: it ends, or
// its write takes place, as if power had gone a moment later.
void XpointMedia::power_cut() {}
void XpointMedia::power_on() {}

std::string XpointMedia::save() const {
  StateWriter out;
  out.text("xpoint");
  out.number(units_);
  out.number(pages_);
  out.number(prefilled_);
  for (std::uint64_t unit = 0; unit < units_ + pages_; unit += 64) {
    if (records_.node_untouched(unit)) {
      unit = (unit / records_.kNodeSize + 1) * records_.kNodeSize - 64;
      continue;
    }
    const auto found = records_.find(unit);
    if (found.leaf == nullptr) continue;
    out.number(unit / 64 + 1);
    for (std::size_t i = 0; i < 64; ++i) {
      out.number(found.leaf->units[i]);
      out.number(found.leaf->written[i]);
      out.number(found.leaf->expected[i]);
    }
  }
  out.number(0);
  store_.save(out);
  return out.finish();
}

void XpointMedia::load(std::string_view file, std::string_view source) {
  StateReader in(file, std::string(source));
  if (in.text("a kind of medium") != "xpoint") in.fail("made by a drive of another kind of medium");
  in.expect("its capacity in units", units_);
  in.expect("its pages of the mapping table (map_cache)", pages_);
  prefilled_ = in.number("the units of the beginning", units_);
  used_ = prefilled_;
  const std::uint64_t all = units_ + pages_;
  std::uint64_t last = 0;
  while (const std::uint64_t leaf = in.number("a group of units", (all + 63) / 64)) {
    if (leaf <= last) in.fail("groups of units are out of order");
    last = leaf;
    Records& records = touch((leaf - 1) * 64);
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint64_t unit = (leaf - 1) * 64 + i;
      if (records.expected[i] != 0 && unit < units_) --used_;
      records.units[i] = static_cast<std::uint32_t>(in.number("a record", all - 1));
      records.written[i] = static_cast<std::uint8_t>(in.number("a sequence", 255));
      records.expected[i] = static_cast<std::uint8_t>(in.number("a sequence", 255));
      if (records.expected[i] == 0) continue;
      if (unit >= all) in.fail("a unit beyond the capacity");
      if (unit < units_) ++used_;
    }
  }
  store_.load(units_, in);
  in.end();
}

void XpointMedia::quiesce(base::Callback done) {
  scheduler_.at(scheduler_.now(), done);
}

}  // namespace nvmesim::models
