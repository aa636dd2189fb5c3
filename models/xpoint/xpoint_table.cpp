// XpointMedia: pages of the mapping table, units written in place like any other. A write holds one
// of write_slots and is done when the page is in the array.
#include <algorithm>

#include "models/xpoint/xpoint_media.hpp"

namespace nvmesim::models {

XpointMedia::Access* XpointMedia::take_page(std::uint64_t page, base::Callback done) {
  Access* access = take(nullptr, nullptr);
  access->unit = UnitId{units_ + page};
  access->place = access->unit.value();
  access->bytes = kUnitBytes;
  access->page = true;
  access->done = done;
  return access;
}

bool XpointMedia::Table::present(std::uint64_t page) const {
  const auto writes = media_.page_writes_.find(page);
  if (writes != media_.page_writes_.end() && writes->second.wanted) return true;
  return media_.expected(media_.units_ + page) != 0;
}

void XpointMedia::Table::read(std::uint64_t page, base::Callback done) {
  Access* access = media_.take_page(page, done);
  ++media_.reads_;
  const base::Time time = media_.read_time();
  const base::Time start = media_.die_of(access->place).reserve(media_.scheduler_.now(), time);
  media_.scheduler_.at<&XpointMedia::page_read>(start + time, &media_, as_argument(access));
}

void XpointMedia::page_read(std::uint64_t argument) {
  const auto* access = reinterpret_cast<Access*>(argument);
  const base::Time duration = read_pace_(kUnitBytes);
  const base::Time start = channel_of(access->place).line.reserve(scheduler_.now(), duration);
  const base::Time decoded = start + duration + base::nanoseconds(config_.ecc_ns);
  scheduler_.at<&XpointMedia::page_decoded>(decoded, this, argument);
}

void XpointMedia::page_decoded(std::uint64_t argument) {
  auto* access = reinterpret_cast<Access*>(argument);
  std::uint64_t found = 0;
  static_cast<void>(check(*access, found));  // counts
  const base::Callback done = access->done;
  accesses_.give(access);
  done();
}

void XpointMedia::Table::write(std::uint64_t page, base::Callback done) {
  PageWrites& writes = media_.page_writes_[page];
  ++writes.open;
  writes.wanted = true;
  media_.waiting_.push(media_.take_page(page, done));
  media_.schedule_grant();
}

void XpointMedia::page_written(Access& access) {
  const auto writes = page_writes_.find(access.unit.value() - units_);
  if (writes->second.wanted) record(access.unit.value());
  if (--writes->second.open == 0) page_writes_.erase(writes);
  const base::Callback done = access.done;
  accesses_.give(&access);
  schedule_grant();
  if (done) done();
}

void XpointMedia::Table::drop(std::uint64_t first, std::uint64_t count) {
  auto& writes = media_.page_writes_;
  for (auto each = writes.lower_bound(first); each != writes.end() && each->first - first < count;
       ++each) {
    each->second.wanted = false;
  }
  const std::uint64_t end = media_.units_ + first + count;
  for (std::uint64_t unit = media_.units_ + first; unit < end;) {
    if (!media_.prefilled(unit) && media_.records_.node_untouched(unit)) {
      unit = (unit / media_.records_.kNodeSize + 1) * media_.records_.kNodeSize;
      continue;
    }
    if (media_.expected(unit) != 0) media_.touch(unit).expected[unit % 64] = 0;
    ++unit;
  }
}

}  // namespace nvmesim::models
