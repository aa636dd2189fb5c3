// What a PCIe request carries beyond address, data and byte enables, which are the payload's own.
// An ignorable extension: a payload without one is a memory access of requester 0 without
// attributes, so a plain TLM initiator or memory can be bound anywhere.
#pragma once

#include <cstdint>
#include <typeinfo>

#include "sim/base/payload_pool.hpp"
#include "sim/base/strong_id.hpp"

namespace nvmesim::pcie {

// Bus, device and function: bus << 8 | device << 3 | function. 0 is the root complex.
struct RequesterTag;
using RequesterId = base::StrongId<RequesterTag, std::uint16_t>;
constexpr RequesterId make_id(unsigned bus, unsigned device, unsigned function) {
  return RequesterId(static_cast<std::uint16_t>(bus << 8 | device << 3 | function));
}

struct VectorTag;
using VectorId = base::StrongId<VectorTag, std::uint16_t>;

enum class TlpKind : std::uint8_t {
  kMemory,
  kConfig0,  // address: register offset in the function's configuration space
  kConfig1,
  kMessage,
};

// What a message says (2.2.8), by its code. A message carries no data here; the two words that some
// have in their header travel as the payload's address.
enum class MessageCode : std::uint8_t {
  kUnlock = 0x00,
  kLatencyTolerance = 0x10,
  kAssertIntA = 0x20,  // A to D
  kDeassertIntA = 0x24,
  kErrorCorrectable = 0x30,
  kErrorNonFatal = 0x31,
  kErrorFatal = 0x33,
};

struct Tlp : tlm::tlm_extension<Tlp> {
  RequesterId requester;
  RequesterId completer;  // configuration requests are routed by it
  TlpKind kind = TlpKind::kMemory;
  MessageCode message = MessageCode::kUnlock;  // of kMessage
  bool relaxed_ordering =
      false;  // may pass, and be passed by, other posted writes (TLP attribute RO)
  bool id_based_ordering = false;
  bool no_snoop = false;
  // EP: the data is known to be bad. Set by the sender, or on the way by a fault; of a read it
  // speaks of the completion.
  bool poisoned = false;
  // The requester's tag; the link only logs it.
  std::uint16_t tag = 0;

  // Hints of the model, which no wire carries. The first three change cost, never order or content.
  // deferrable: nobody looks at this posted write before a younger one of its direction arrives,
  // so it may be delivered together with that (design rule: visible at its arrival or later).
  bool deferrable = false;
  // dataless: the bytes mean nothing (the run keeps no data); whoever stores them may skip the
  // copy.
  bool dataless = false;
  // sent_awaited: somebody waits for the BEGIN_RESP of this posted write, so it comes when the last
  // TLP has been issued, whatever the length. Without it that of a write of at most one MPS comes
  // with the delivery.
  bool sent_awaited = false;
  // cancelled: set by the initiator while the request is on its way (a reset). It is not delivered
  // any more; its BEGIN_RESP comes nevertheless.
  bool cancelled = false;

  // The root complex's alone: the address before it was translated.
  std::uint64_t untranslated = 0;

  tlm::tlm_extension_base* clone() const override { return new Tlp(*this); }
  void copy_from(const tlm::tlm_extension_base& other) override {
    *this = static_cast<const Tlp&>(other);
  }
};

using TlpPool = base::PayloadPool<Tlp>;
using TlpPayload = TlpPool::Payload;

[[gnu::cold, gnu::noinline]] inline const Tlp& tlp_of_foreign(
    const tlm::tlm_generic_payload& payload) {
  static const Tlp plain{};
  const Tlp* extension = nullptr;
  payload.get_extension(extension);
  return extension != nullptr ? *extension : plain;
}

// The attributes of any payload; those of a plain memory access if it has none. Nearly all payloads
// are pooled ones, whose extension is a member: no search for those.
inline const Tlp& tlp_of(const tlm::tlm_generic_payload& payload) {
  if (&typeid(payload) == &typeid(TlpPayload)) [[likely]]
    return static_cast<const TlpPayload&>(payload).extension;
  return tlp_of_foreign(payload);
}

inline bool is_configuration(const Tlp& tlp) {
  return tlp.kind == TlpKind::kConfig0 || tlp.kind == TlpKind::kConfig1;
}

// A posted request has no completion on the wire: memory writes and messages.
inline bool is_posted(const tlm::tlm_generic_payload& payload) {
  const TlpKind kind = tlp_of(payload).kind;
  return kind == TlpKind::kMessage || (kind == TlpKind::kMemory && payload.is_write());
}

// response_status and the completion status it stands for (PCIe base specification 2.2.9).
inline constexpr auto kStatusSuccessful = tlm::TLM_OK_RESPONSE;
inline constexpr auto kStatusUnsupportedRequest = tlm::TLM_ADDRESS_ERROR_RESPONSE;
inline constexpr auto kStatusCompleterAbort = tlm::TLM_GENERIC_ERROR_RESPONSE;

}  // namespace nvmesim::pcie
