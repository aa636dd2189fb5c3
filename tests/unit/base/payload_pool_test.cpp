#include "sim/base/payload_pool.hpp"

#include <memory>
#include <vector>

#include "tests/support/catch.hpp"

namespace nvmesim::base {
namespace {

struct Attributes : tlm::tlm_extension<Attributes> {
  int value = 7;
  tlm::tlm_extension_base* clone() const override { return new Attributes(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const Attributes&>(other);
  }
};

// What a foreign module may attach; counts its own deaths.
struct Foreign : tlm::tlm_extension<Foreign> {
  explicit Foreign(int& count) : freed(count) {}
  tlm::tlm_extension_base* clone() const override { return nullptr; }
  void copy_from(const tlm::tlm_extension_base&) override {}
  void free() override {
    ++freed;
    delete this;
  }
  int& freed;
};

using Pool = PayloadPool<Attributes>;

}  // namespace

TEST_CASE("a payload is taken fresh whatever its last user left") {
  Pool pool;
  Pool::Payload* payload = pool.take();
  unsigned char enables[4] = {};
  payload->extension.value = 99;
  payload->set_byte_enable_ptr(enables);
  payload->set_response_status(tlm::TLM_OK_RESPONSE);
  payload->set_dmi_allowed(true);
  payload->set_inline("abc", 3);
  payload->on_response = Callback([](void*, std::uint64_t) {}, nullptr, 0);
  CHECK(payload->get_data_length() == 3);
  CHECK(payload->get_streaming_width() == 3);
  CHECK(payload->get_data_ptr()[2] == 'c');
  payload->release();
  CHECK(pool.in_use() == 0);

  Pool::Payload* again = pool.take();
  CHECK(again == payload);
  CHECK(again->get_ref_count() == 1);
  CHECK(again->extension.value == 7);
  CHECK(again->get_byte_enable_ptr() == nullptr);
  CHECK(again->get_data_ptr() == nullptr);
  CHECK(again->get_data_length() == 0);
  CHECK(again->get_response_status() == tlm::TLM_INCOMPLETE_RESPONSE);
  CHECK_FALSE(again->is_dmi_allowed());
  CHECK_FALSE(again->on_response);
  again->release();
}

TEST_CASE("others find the extension of a payload, and copy it") {
  Pool pool;
  Pool::Payload* payload = pool.take();
  payload->extension.value = 5;
  Attributes* found = nullptr;
  payload->get_extension(found);
  CHECK(found == &payload->extension);
  tlm::tlm_generic_payload copy;
  copy.deep_copy_from(*payload);
  copy.get_extension(found);
  REQUIRE(found != nullptr);
  CHECK(found != &payload->extension);
  CHECK(found->value == 5);
  payload->release();
}

TEST_CASE("the last release gives back the payload and its buffer") {
  BufferPool buffers(64);
  Pool pool;
  Pool::Payload* payload = pool.take();
  payload->buffer = buffers.take();
  payload->acquire();
  payload->release();
  CHECK(pool.in_use() == 1);
  CHECK(buffers.in_use() == 1);
  payload->release();
  CHECK(pool.in_use() == 0);
  CHECK(buffers.in_use() == 0);
}

TEST_CASE("what foreign modules attach for one transaction ends with it") {
  int freed = 0;
  Pool pool;
  Pool::Payload* payload = pool.take();
  payload->set_auto_extension(new Foreign(freed));
  payload->release();
  CHECK(freed == 1);
  Foreign* found = nullptr;
  Pool::Payload* again = pool.take();
  again->get_extension(found);
  CHECK(found == nullptr);
  Attributes* own = nullptr;
  again->get_extension(own);
  CHECK(own == &again->extension);
  again->release();
}

TEST_CASE("a pool ends with payloads in flight, before or after the pool of their buffers") {
  int freed = 0;
  auto buffers = std::make_unique<BufferPool>(64);
  auto later = std::make_unique<BufferPool>(64);
  auto pool = std::make_unique<Pool>();
  BufferRef kept;
  for (int i = 0; i < 3; ++i) {
    Pool::Payload* payload = pool->take();
    payload->buffer = (i == 0 ? later : buffers)->take();
    payload->set_auto_extension(new Foreign(freed));
    kept = payload->buffer;
  }
  kept->data()[63] = std::byte{0x5A};
  buffers.reset();
  CHECK(freed == 0);
  pool.reset();
  CHECK(freed == 3);  // each once, with its payload
  CHECK(later->in_use() == 0);
  CHECK(kept->data()[63] == std::byte{0x5A});  // who holds a buffer has its bytes
}

TEST_CASE("inline data has a limit") {
  Pool pool;
  Pool::Payload* payload = pool.take();
  const std::vector<unsigned char> bytes(Pool::kInlineBytes + 1);
  payload->set_inline(bytes.data(), Pool::kInlineBytes);
  CHECK_THROWS_AS(payload->set_inline(bytes.data(), Pool::kInlineBytes + 1), ModelBug);
  payload->release();
}

}  // namespace nvmesim::base
