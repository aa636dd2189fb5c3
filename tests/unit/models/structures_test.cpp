// The data structures of the room against plain ones, under seeded random use.
#include <map>
#include <set>

#include "models/cache/unit_index.hpp"
#include "models/ftl/bijection.hpp"
#include "models/ftl/policies/cost_benefit.hpp"
#include "models/ftl/policies/d_choices.hpp"
#include "models/ftl/policies/fifo.hpp"
#include "models/ftl/policies/greedy.hpp"
#include "models/ftl/policies/windowed.hpp"
#include "models/ftl/unit_overlay.hpp"
#include "models/ftl/unit_table.hpp"
#include "models/nand/policies/fifo.hpp"
#include "models/nand/policies/read_first.hpp"
#include "models/ring.hpp"
#include "models/store/data_store.hpp"
#include "models/store/sparse_array.hpp"
#include "sim/base/random.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::models {
namespace {

struct Leaf {
  std::array<std::uint64_t, 64> values;
};

TEST_CASE("a sparse array behaves like a map with computed defaults") {
  constexpr std::uint64_t kSize = 3'000'000'000;
  SparseArray<Leaf> array(kSize);
  std::map<std::uint64_t, std::uint64_t> model;
  std::set<std::uint64_t> cleared;  // first index of a leaf
  base::Random random(7, "sparse");
  const auto value = [&](std::uint64_t index) {
    const auto found = array.find(index);
    if (found.leaf != nullptr) return found.leaf->values[index % 64];
    return found.state == SparseArray<Leaf>::State::kCleared ? 0 : index + 1;
  };
  const auto expected = [&](std::uint64_t index) {
    const auto found = model.find(index);
    if (found != model.end()) return found->second;
    return cleared.count(index / 64 * 64) != 0 ? 0 : index + 1;
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t index = random.below(8) * 300'000'000 + random.below(2'000);
    switch (random.below(4)) {
      case 0: {
        array
            .touch(index,
                   [](Leaf& leaf, std::uint64_t first, bool empty) {
                     for (std::uint64_t k = 0; k < 64; ++k)
                       leaf.values[k] = empty ? 0 : first + k + 1;
                   })
            .values[index % 64] = static_cast<std::uint64_t>(i);
        model[index] = static_cast<std::uint64_t>(i);
        break;
      }
      case 1: {
        const std::uint64_t first = index / 64 * 64;
        array.clear_leaf(first);
        model.erase(model.lower_bound(first), model.lower_bound(first + 64));
        cleared.insert(first);
        break;
      }
      default:
        REQUIRE(value(index) == expected(index));
    }
  }
}

TEST_CASE("the unit index finds what was set and not what was erased") {
  UnitIndex index(300);
  std::map<std::uint64_t, std::uint32_t> model;
  base::Random random(3, "index");
  for (std::uint32_t i = 0; i < 100'000; ++i) {
    const std::uint64_t unit = random.below(1'000) * 0x1'0000'0001;
    const auto found = model.find(unit);
    REQUIRE(index.find(unit) == (found == model.end() ? UnitIndex::kNone : found->second));
    if (random.chance(1, 2) && model.size() < 300) {
      index.set(unit, i);
      model[unit] = i;
    } else {
      index.erase(unit);
      model.erase(unit);
    }
  }
}

TEST_CASE("a ring keeps the order while it grows") {
  Ring<int> ring;
  int next_in = 0;
  int next_out = 0;
  base::Random random(5, "ring");
  for (int i = 0; i < 10'000; ++i) {
    if (random.chance(next_in < 5'000 ? 6 : 4, 10)) {
      ring.push(next_in++);
    } else if (!ring.empty()) {
      REQUIRE(ring.front() == next_out);
      REQUIRE(ring.pop() == next_out++);
    }
    REQUIRE(ring.size() == static_cast<std::size_t>(next_in - next_out));
  }
}

TEST_CASE("greedy picks the fewest valid units, fifo the oldest, both only what is allowed") {
  constexpr std::uint32_t kBlocks = 40;
  constexpr std::uint32_t kUnits = 100;
  GreedyGc greedy(kBlocks, kUnits);
  FifoGc fifo(kBlocks);
  std::map<std::uint32_t, std::uint32_t> valid;
  std::vector<std::uint32_t> order;
  base::Random random(11, "gc");
  for (int i = 0; i < 20'000; ++i) {
    const auto block = static_cast<std::uint32_t>(random.below(kBlocks));
    if (valid.count(block) == 0) {
      valid[block] = static_cast<std::uint32_t>(random.below(kUnits + 1));
      order.push_back(block);
      greedy.closed(block, valid[block]);
      fifo.closed(block, valid[block]);
    } else if (valid[block] > 0 && random.chance(4, 5)) {
      --valid[block];
      greedy.changed(block, valid[block]);
      fifo.changed(block, valid[block]);
    } else {
      valid.erase(block);
      order.erase(std::find(order.begin(), order.end(), block));
      greedy.removed(block);
      fifo.removed(block);
    }
    const auto most = static_cast<std::uint32_t>(random.below(kUnits + 1));
    std::optional<std::uint32_t> least;
    std::optional<std::uint32_t> oldest;
    for (const std::uint32_t each : order) {
      if (valid[each] > most) continue;
      if (!oldest) oldest = each;
      if (!least || valid[each] < valid[*least]) least = each;
    }
    const auto picked = greedy.pick(most);
    REQUIRE(picked.has_value() == least.has_value());
    if (picked) REQUIRE(valid[*picked] == valid[*least]);
    REQUIRE(fifo.pick(most) == oldest);
  }
}

TEST_CASE("a bijection hits every number once and its inverse leads back, for every tweak") {
  for (const std::uint64_t size : {1, 2, 3, 7, 64, 100, 1009, 4096, 5000}) {
    const Bijection bijection(size, 99);
    for (const std::uint64_t tweak : {0, 1, 12345}) {
      std::vector<bool> hit(size);
      for (std::uint64_t i = 0; i < size; ++i) {
        const std::uint64_t at = bijection.at(i, tweak);
        REQUIRE(at < size);
        REQUIRE_FALSE(hit[at]);
        hit[at] = true;
        REQUIRE(bijection.inverse(at, tweak) == i);
      }
    }
  }
  const Bijection large(1'953'000'001, 3);
  std::uint64_t same = 0;
  for (std::uint64_t i = 0; i < 100'000; ++i) {
    REQUIRE(large.inverse(large.at(i * 19'001)) == i * 19'001);
    if (large.at(i, 1) == large.at(i, 2)) ++same;
  }
  CHECK(same < 3);
}

TEST_CASE("a unit overlay behaves like a map") {
  UnitOverlay overlay;
  std::map<std::uint64_t, std::uint32_t> model;
  base::Random random(4, "overlay");
  for (std::uint32_t i = 0; i < 60'000; ++i) {
    const std::uint64_t unit = random.below(20'000) * 97'003;
    UnitOverlay::Value value;
    const auto found = model.find(unit);
    REQUIRE(overlay.find(unit, value) == (found != model.end()));
    if (found != model.end()) REQUIRE(value.place == found->second);
    overlay.set(unit, {i, static_cast<std::uint8_t>(i)});
    model[unit] = i;
  }
  CHECK(overlay.size() == model.size());
}

TEST_CASE("a unit table behaves like a map that knows nothing at first") {
  constexpr std::uint64_t kUnits = 100'000;
  UnitTable table(kUnits);
  std::map<std::uint64_t, std::pair<Place, std::uint8_t>> model;
  base::Random random(8, "table");
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t unit = random.below(kUnits / 2) + kUnits / 2;
    if (random.chance(1, 500)) {
      const std::uint64_t first = std::min(unit / 64 * 64, kUnits - 64);
      table.clear_leaf(first);
      for (std::uint64_t each = first; each < first + 64; ++each) model[each] = {kNoPlace, 0};
    } else if (random.chance(1, 2)) {
      const auto place = static_cast<Place>(random.below(0xFFFF'FFFE));
      const auto mark = static_cast<std::uint8_t>(random.below(256));
      table.set(unit, {place, mark});
      model[unit] = {place, mark};
    }
    MappedPlace mapped;
    const auto known = model.find(unit);
    REQUIRE(table.find(unit, mapped) == (known != model.end()));
    if (known == model.end()) continue;
    CHECK(mapped.place == known->second.first);
    CHECK(mapped.mark == known->second.second);
  }
  CHECK(table.region_untouched(0));
  CHECK_FALSE(table.region_untouched(kUnits - 1));
  CHECK(table.leaf_unknown(0));
}

TEST_CASE("the other policies pick only what is allowed, windowed among the oldest") {
  constexpr std::uint32_t kBlocks = 40;
  constexpr std::uint32_t kUnits = 100;
  CostBenefitGc cost_benefit(kBlocks, kUnits);
  DChoicesGc d_choices(kBlocks, 1000, 5);  // so many draws see all
  WindowedGc windowed(kBlocks, 5);
  std::map<std::uint32_t, std::uint32_t> valid;
  std::vector<std::uint32_t> order;
  std::map<std::uint32_t, std::uint64_t> closing;
  std::uint64_t closings = 0;
  base::Random random(12, "gc");
  for (int i = 0; i < 5'000; ++i) {
    const auto block = static_cast<std::uint32_t>(random.below(kBlocks));
    if (valid.count(block) == 0) {
      valid[block] = static_cast<std::uint32_t>(random.below(kUnits + 1));
      closing[block] = ++closings;
      order.push_back(block);
      for (GcPolicy* each : {static_cast<GcPolicy*>(&cost_benefit),
                             static_cast<GcPolicy*>(&d_choices), static_cast<GcPolicy*>(&windowed)})
        each->closed(block, valid[block]);
    } else if (valid[block] > 0 && random.chance(4, 5)) {
      --valid[block];
      for (GcPolicy* each : {static_cast<GcPolicy*>(&cost_benefit),
                             static_cast<GcPolicy*>(&d_choices), static_cast<GcPolicy*>(&windowed)})
        each->changed(block, valid[block]);
    } else {
      valid.erase(block);
      order.erase(std::find(order.begin(), order.end(), block));
      for (GcPolicy* each : {static_cast<GcPolicy*>(&cost_benefit),
                             static_cast<GcPolicy*>(&d_choices), static_cast<GcPolicy*>(&windowed)})
        each->removed(block);
    }
    const auto most = static_cast<std::uint32_t>(random.below(kUnits + 1));
    std::optional<std::uint32_t> least;
    std::optional<std::uint32_t> in_window;
    std::uint32_t seen = 0;
    double best = -1;
    for (const std::uint32_t each : order) {
      const bool windows = seen++ < 5 || !in_window;
      if (valid[each] > most) continue;
      if (!least || valid[each] < valid[*least]) least = each;
      if (windows && (!in_window || valid[each] < valid[*in_window])) in_window = each;
      best = std::max(best, static_cast<double>(closings - closing[each] + 1) *
                                (kUnits - valid[each]) / (kUnits + valid[each]));
    }
    const auto chosen = d_choices.pick(most);
    REQUIRE(chosen.has_value() == least.has_value());
    if (chosen) REQUIRE(valid[*chosen] == valid[*least]);
    REQUIRE(windowed.pick(most) == in_window);
    const auto worth = cost_benefit.pick(most);
    REQUIRE(worth.has_value() == least.has_value());
    if (!worth) continue;
    const double benefit = static_cast<double>(closings - closing[*worth] + 1) *
                           (kUnits - valid[*worth]) / (kUnits + valid[*worth]);
    REQUIRE(benefit > best * 0.999999);
  }
}

TEST_CASE("read_first serves reads first unless something has aged, fifo the oldest") {
  DieJob read;
  DieJob program;
  DieJob erase;
  read.submitted = 900us;
  program.submitted = 500us;
  erase.submitted = 100us;
  const std::array<const DieJob*, kJobClasses> heads{&read, nullptr, &program, nullptr, &erase};
  const std::span<const DieJob* const, kJobClasses> view(heads);
  CHECK(ReadFirst(1000us).pick(view, 1000us) == 0);
  CHECK(ReadFirst(900us).pick(view, 1000us) == 4);
  CHECK(ReadFirst(300us).pick(view, 1000us) == 4);
  CHECK(Fifo().pick(view, 1000us) == 4);
  erase.submitted = 600us;
  CHECK(ReadFirst(300us).pick(view, 1000us) == 2);
  CHECK(Fifo().pick(view, 1000us) == 2);
}

TEST_CASE("the data store keeps bytes, shares buffers and forgets what is cleared") {
  MediaPoints points;
  DataStore store(1'000'000, true, false, points);
  CHECK_FALSE(store.read(UnitId{5}));
  base::BufferRef first = store.take_buffer();
  std::memset(first->data(), 0x11, kUnitBytes);
  store.write(UnitId{5}, first);
  const base::BufferRef held = store.read(UnitId{5});
  CHECK(held == first);
  base::BufferRef patch = store.take_buffer();
  std::memset(patch->data(), 0x22, kUnitBytes);
  const base::BufferRef merged = store.merged(held, patch, 512, 1024);
  CHECK(merged->data()[511] == std::byte{0x11});
  CHECK(merged->data()[512] == std::byte{0x22});
  CHECK(merged->data()[1535] == std::byte{0x22});
  CHECK(merged->data()[1536] == std::byte{0x11});
  CHECK(held->data()[512] == std::byte{0x11});
  const base::BufferRef zeroes = store.merged({}, {}, 0, 512);
  CHECK(zeroes->data()[4095] == std::byte{0});
  store.clear(0, 1'000'000);
  CHECK_FALSE(store.read(UnitId{5}));
  CHECK(held->data()[0] == std::byte{0x11});
  CHECK(store.units_kept() == 0);
}

}  // namespace
}  // namespace nvmesim::models
