#include "sim/base/buffer.hpp"

#include <algorithm>
#include <memory>
#include <vector>

#include "tests/support/catch.hpp"

namespace nvmesim::base {

TEST_CASE("a buffer comes back to its pool with the last reference") {
  BufferPool pool(4096);
  CHECK(pool.buffer_bytes() == 4096);
  BufferRef first = pool.take();
  BufferRef second = first;
  std::byte* data = first->data();
  CHECK(pool.in_use() == 1);
  first.reset();
  CHECK(pool.in_use() == 1);
  second.reset();
  CHECK(pool.in_use() == 0);
  CHECK(pool.take()->data() == data);  // the last one used is the next one taken: warm in the cache
}

TEST_CASE("buffers do not overlap, also beyond one chunk") {
  BufferPool pool(512);
  std::vector<BufferRef> taken;
  for (int i = 0; i < 200; ++i) {
    taken.push_back(pool.take());
    std::fill_n(taken.back()->data(), 512, static_cast<std::byte>(i));
  }
  CHECK(pool.in_use() == 200);
  bool intact = true;
  for (int i = 0; i < 200; ++i) {
    for (int j = 0; j < 512; ++j) {
      intact = intact && taken[static_cast<std::size_t>(i)]->data()[j] == static_cast<std::byte>(i);
    }
  }
  CHECK(intact);
}

TEST_CASE("a buffer outlives its pool") {
  auto pool = std::make_unique<BufferPool>(64);
  BufferRef held = pool->take();
  BufferRef other = pool->take();
  std::fill_n(held->data(), 64, std::byte{42});
  pool.reset();
  other.reset();
  CHECK(held->data()[63] == std::byte{42});
  held.reset();  // the memory goes here: a leak or a use after free shows under the sanitizer
}

}  // namespace nvmesim::base
