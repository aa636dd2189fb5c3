#include "device/prp.hpp"

#include <algorithm>
#include <bit>

#include "sim/base/assert.hpp"

namespace nvmesim::device {

using spec::Status;

Status PrpMap::begin(std::uint64_t prp1, std::uint64_t prp2, std::uint64_t bytes,
                     std::uint64_t page_bytes) {
  NVMESIM_ASSERT(bytes != 0, "a transfer of nothing has no pages");
  prp1_ = prp1;
  prp2_ = prp2;
  page_mask_ = page_bytes - 1;
  page_shift_ = static_cast<unsigned>(std::countr_zero(page_bytes));
  listed_ = false;
  wanted_ = 0;
  if ((prp1 & 3) != 0) return Status::kPrpOffsetInvalid;
  const std::uint64_t in_first = page_bytes - (prp1 & page_mask_);
  if (bytes <= in_first) return Status::kSuccess;
  const std::uint64_t more = (bytes - in_first + page_mask_) >> page_shift_;
  if (more == 1) {
    return (prp2 & page_mask_) != 0 ? Status::kPrpOffsetInvalid : Status::kSuccess;
  }
  if ((prp2 & 7) != 0) return Status::kPrpOffsetInvalid;
  listed_ = true;
  wanted_ = more;
  cursor_ = prp2;
  pages_.clear();
  return Status::kSuccess;
}

// The list goes on in another page: the last entry of this one points there.
bool PrpMap::ends_in_pointer() const {
  const std::uint64_t entries_left = (page_mask_ + 1 - (cursor_ & page_mask_)) / 8;
  return wanted_ > entries_left;
}

PrpMap::Fetch PrpMap::next_fetch() const {
  const std::uint64_t in_list_page = (page_mask_ + 1 - (cursor_ & page_mask_)) / 8;
  const std::uint64_t in_fetch_page = (kFetchPage - (cursor_ & (kFetchPage - 1))) / 8;
  const std::uint64_t entries = std::min({wanted_, in_list_page, in_fetch_page});
  return {cursor_, static_cast<std::uint32_t>(entries * 8)};
}

Status PrpMap::take(std::span<const std::uint64_t> entries) {
  for (const std::uint64_t entry : entries) {
    if ((entry & page_mask_) != 0) return Status::kPrpOffsetInvalid;
    const bool last_of_page = ((cursor_ + 8) & page_mask_) == 0;
    if (last_of_page && ends_in_pointer()) {
      cursor_ = entry;
      return Status::kSuccess;
    }
    pages_.push_back(entry);
    cursor_ += 8;
    --wanted_;
  }
  return Status::kSuccess;
}

PrpMap::Extent PrpMap::at(std::uint64_t offset) const {
  const std::uint64_t position = (prp1_ & page_mask_) + offset;
  const std::uint64_t page = position >> page_shift_;
  const std::uint64_t in_page = position & page_mask_;
  std::uint64_t address = 0;
  if (page == 0) {
    address = prp1_ + offset;
  } else if (listed_) {
    address = pages_[page - 1] + in_page;
  } else {
    address = prp2_ + in_page;
  }
  return {address, kFetchPage - (address & (kFetchPage - 1)), false};
}

}  // namespace nvmesim::device
