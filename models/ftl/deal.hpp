// How consecutive pages are dealt to programs: `inner` programs get a page each before the first of
// them gets its next; with `outer` > 1 there are so many such groups, and one gets a page for every
// plane of its dies before the next group has its turn. {1, 1}: a program is filled page by page.
#pragma once

#include <cstdint>

#include "models/nand/geometry.hpp"

namespace nvmesim::models {

struct Deal {
  std::uint32_t inner = 1;
  std::uint32_t outer = 1;

  std::uint32_t programs() const { return inner * outer; }
  // Which of its programs gets the page.
  std::uint32_t program_of(std::uint64_t page, std::uint32_t planes) const {
    const std::uint64_t rounds = page / inner;
    return static_cast<std::uint32_t>(page % inner + rounds / planes % outer * inner);
  }
};

}  // namespace nvmesim::models
