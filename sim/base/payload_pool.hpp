// Pooled generic payloads. Each carries its protocol extension for good, room for a small inline
// value (a doorbell, a queue entry), a reference that keeps borrowed data alive, and a call-back
// for its initiator. Taking and returning one allocates nothing after warm-up.
//
// Use: Payload* p = pool.take(); ...set command, address, data...; socket->nb_transport_fw(...);
// the initiator releases it when BEGIN_RESP came back; whoever needs the data longer acquires it.
#pragma once

#include <array>
#include <cstring>
#include <deque>
#include <span>

#include "sim/base/assert.hpp"
#include "sim/base/buffer.hpp"
#include "sim/base/callback.hpp"
#include "sim/base/systemc.hpp"

namespace nvmesim::base {

template <class Extension>
class PayloadPool : public tlm::tlm_mm_interface {
 public:
  static constexpr std::size_t kInlineBytes = 64;

  class Payload : public tlm::tlm_generic_payload {
   public:
    Extension extension;
    BufferRef buffer;       // keeps what data_ptr points to alive; may be empty
    Callback on_response;   // for the initiator alone
    std::uint64_t tag = 0;  // for the initiator alone
    alignas(16) std::array<unsigned char, kInlineBytes> inline_data;

    // Makes a request whose data is a copy of at most kInlineBytes of `bytes`.
    void set_inline(const void* bytes, std::size_t size) {
      NVMESIM_ASSERT(size <= kInlineBytes, "too much data for the inside of a payload");
      std::memcpy(inline_data.data(), bytes, size);
      set_data_ptr(inline_data.data());
      set_data_length(static_cast<unsigned>(size));
      set_streaming_width(static_cast<unsigned>(size));
    }

   private:
    friend class PayloadPool;
    Payload* next_ = nullptr;
  };

  PayloadPool() = default;
  PayloadPool(const PayloadPool&) = delete;
  PayloadPool& operator=(const PayloadPool&) = delete;
  // Payloads still in flight end here too. The extensions belong to the payloads, not to TLM's
  // reference scheme.
  ~PayloadPool() override {
    for (Payload& payload : storage_) payload.clear_extension(&payload.extension);
  }

  // A payload with one reference, a default extension, no data and an incomplete response.
  Payload* take() {
    if (free_ == nullptr) [[unlikely]]
      grow();
    Payload* payload = free_;
    free_ = payload->next_;
    payload->extension = Extension{};
    payload->acquire();
    payload->set_response_status(tlm::TLM_INCOMPLETE_RESPONSE);
    payload->set_byte_enable_ptr(nullptr);
    payload->set_data_ptr(nullptr);
    payload->set_data_length(0);
    payload->set_dmi_allowed(false);
    ++in_use_;
    return payload;
  }

  std::size_t in_use() const { return in_use_; }

 private:
  void free(tlm::tlm_generic_payload* base) override {
    auto* payload = static_cast<Payload*>(base);
    payload->reset();  // drops what foreign modules attached for this transaction
    payload->buffer.reset();
    payload->on_response = {};
    payload->next_ = free_;
    free_ = payload;
    --in_use_;
  }
  [[gnu::cold, gnu::noinline]] void grow() {
    Payload& payload = storage_.emplace_back();
    payload.set_mm(this);
    payload.set_extension(&payload.extension);
    free_ = &payload;
  }

  std::deque<Payload> storage_;
  Payload* free_ = nullptr;
  std::size_t in_use_ = 0;
};

// Sets command, address, data and streaming width in one go.
inline void set_access(tlm::tlm_generic_payload& payload, tlm::tlm_command command,
                       std::uint64_t address, unsigned char* data, std::size_t bytes) {
  payload.set_command(command);
  payload.set_address(address);
  payload.set_data_ptr(data);
  payload.set_data_length(static_cast<unsigned>(bytes));
  payload.set_streaming_width(static_cast<unsigned>(bytes));
}

}  // namespace nvmesim::base
