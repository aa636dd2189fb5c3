// Saves and loads what an FTL and its NAND remember without power: where every unit lies, and the
// state, wear and age of every superblock. A friend of what it saves, so that none of it needs an
// interface for this alone.
#pragma once

#include "models/ftl/ftl.hpp"
#include "models/state/state_io.hpp"

namespace nvmesim::models {

class FtlState {
 public:
  // Only between power_cut() and power_on(): nothing is on its way.
  static void save(const Ftl& ftl, StateWriter& out);
  // Only into an FTL that has done nothing yet. Throws UserError; the FTL is of no use then.
  static void load(Ftl& ftl, StateReader& in);

 private:
  static void save_superblock(const Ftl& ftl, std::uint32_t number, StateWriter& out);
  static void load_superblock(Ftl& ftl, std::uint32_t number, StateReader& in);
  static void load_order(Ftl& ftl, StateReader& in);
  static void count_valid(Ftl& ftl, StateReader& in);
  static void count_pages(Ftl& ftl);
  static std::uint64_t count_initial(const Ftl& ftl, std::uint32_t superblock);
  static std::uint64_t count_places(const Ftl& ftl, std::uint32_t superblock);
};

}  // namespace nvmesim::models
