// Controller registers of NVMe 1.4 (section 3.1): offsets in BAR0 and bit fields. Each register
// with fields has a struct with one `value` and an accessor per field, spelled as the
// specification does; setters exist where somebody builds the value.
#pragma once

#include <cstdint>
#include <string>

namespace nvmesim::device::spec {

// An inclusive bit range of a register or a command dword.
template <class Word>
constexpr Word bits(Word value, unsigned high, unsigned low) {
  const unsigned width = high - low + 1;
  const Word mask = width >= sizeof(Word) * 8 ? ~Word{0} : (Word{1} << width) - 1;
  return (value >> low) & mask;
}
template <class Word>
constexpr Word with_bits(Word value, unsigned high, unsigned low, Word field) {
  const unsigned width = high - low + 1;
  const Word mask = width >= sizeof(Word) * 8 ? ~Word{0} : (Word{1} << width) - 1;
  return (value & ~(mask << low)) | ((field & mask) << low);
}

inline constexpr std::uint32_t kRegCap = 0x00;  // 64 bits
inline constexpr std::uint32_t kRegVs = 0x08;
inline constexpr std::uint32_t kRegIntms = 0x0C;
inline constexpr std::uint32_t kRegIntmc = 0x10;
inline constexpr std::uint32_t kRegCc = 0x14;
inline constexpr std::uint32_t kRegCsts = 0x1C;
inline constexpr std::uint32_t kRegNssr = 0x20;
inline constexpr std::uint32_t kRegAqa = 0x24;
inline constexpr std::uint32_t kRegAsq = 0x28;  // 64 bits
inline constexpr std::uint32_t kRegAcq = 0x30;  // 64 bits
inline constexpr std::uint32_t kRegCmbloc = 0x38;
inline constexpr std::uint32_t kRegCmbsz = 0x3C;
inline constexpr std::uint32_t kRegBpinfo = 0x40;
inline constexpr std::uint32_t kRegBprsel = 0x44;
inline constexpr std::uint32_t kRegBpmbl = 0x48;   // 64 bits
inline constexpr std::uint32_t kRegCmbmsc = 0x50;  // 64 bits
inline constexpr std::uint32_t kRegCmbsts = 0x58;
inline constexpr std::uint32_t kRegCmbebs = 0x5C;
inline constexpr std::uint32_t kRegCmbswtp = 0x60;
inline constexpr std::uint32_t kRegCrto = 0x68;
inline constexpr std::uint32_t kRegPmrcap = 0xE00;
inline constexpr std::uint32_t kRegPmrctl = 0xE04;
inline constexpr std::uint32_t kRegPmrsts = 0xE08;
inline constexpr std::uint32_t kRegPmrebs = 0xE0C;
inline constexpr std::uint32_t kRegPmrswtp = 0xE10;
inline constexpr std::uint32_t kRegPmrmscl = 0xE14;
inline constexpr std::uint32_t kRegPmrmscu = 0xE18;
inline constexpr std::uint32_t kDoorbellBase = 0x1000;

inline constexpr std::uint32_t kVersion14 = 0x0001'0400;
inline constexpr std::uint32_t kVersion20 = 0x0002'0000;
inline constexpr std::uint32_t kNssrMagic = 0x4E56'4D65;  // "NVMe"

struct Cap {
  std::uint64_t value = 0;
  constexpr std::uint16_t mqes() const { return static_cast<std::uint16_t>(bits(value, 15, 0)); }
  constexpr bool cqr() const { return bits(value, 16, 16) != 0; }
  constexpr unsigned ams() const { return static_cast<unsigned>(bits(value, 18, 17)); }
  constexpr unsigned to() const { return static_cast<unsigned>(bits(value, 31, 24)); }  // 500 ms
  constexpr unsigned dstrd() const { return static_cast<unsigned>(bits(value, 35, 32)); }
  constexpr bool nssrs() const { return bits(value, 36, 36) != 0; }
  constexpr unsigned css() const { return static_cast<unsigned>(bits(value, 44, 37)); }
  constexpr bool bps() const { return bits(value, 45, 45) != 0; }
  constexpr unsigned mpsmin() const { return static_cast<unsigned>(bits(value, 51, 48)); }
  constexpr unsigned mpsmax() const { return static_cast<unsigned>(bits(value, 55, 52)); }
  constexpr bool pmrs() const { return bits(value, 56, 56) != 0; }
  constexpr bool cmbs() const { return bits(value, 57, 57) != 0; }
  constexpr unsigned cps() const { return static_cast<unsigned>(bits(value, 47, 46)); }
  constexpr unsigned crms() const { return static_cast<unsigned>(bits(value, 60, 59)); }

  constexpr void set(unsigned high, unsigned low, std::uint64_t field) {
    value = with_bits(value, high, low, field);
  }
};
inline constexpr unsigned kAmsRoundRobin = 0;  // CC.AMS
inline constexpr unsigned kAmsWeighted = 1;
inline constexpr unsigned kCssNvm = 1;  // bit 0 of CAP.CSS

struct Cc {
  std::uint32_t value = 0;
  constexpr bool en() const { return bits(value, 0, 0) != 0; }
  constexpr unsigned css() const { return bits(value, 6, 4); }
  constexpr unsigned mps() const { return bits(value, 10, 7); }
  constexpr unsigned ams() const { return bits(value, 13, 11); }
  constexpr unsigned shn() const { return bits(value, 15, 14); }
  constexpr unsigned iosqes() const { return bits(value, 19, 16); }
  constexpr unsigned iocqes() const { return bits(value, 23, 20); }
  constexpr bool crime() const { return bits(value, 24, 24) != 0; }
  constexpr std::uint64_t page_bytes() const { return std::uint64_t{1} << (12 + mps()); }

  constexpr void set_en(bool on) { value = with_bits(value, 0, 0, std::uint32_t{on}); }
  constexpr void set_css(unsigned css) { value = with_bits(value, 6, 4, css); }
  constexpr void set_mps(unsigned mps) { value = with_bits(value, 10, 7, mps); }
  constexpr void set_ams(unsigned ams) { value = with_bits(value, 13, 11, ams); }
  constexpr void set_shn(unsigned shn) { value = with_bits(value, 15, 14, shn); }
  constexpr void set_iosqes(unsigned size) { value = with_bits(value, 19, 16, size); }
  constexpr void set_iocqes(unsigned size) { value = with_bits(value, 23, 20, size); }
};
inline constexpr unsigned kShnNone = 0;
inline constexpr unsigned kShnNormal = 1;
inline constexpr unsigned kShnAbrupt = 2;
inline constexpr unsigned kIosqes = 6;  // 2^6 = 64 bytes
inline constexpr unsigned kIocqes = 4;  // 2^4 = 16 bytes

struct Csts {
  std::uint32_t value = 0;
  constexpr bool rdy() const { return bits(value, 0, 0) != 0; }
  constexpr bool cfs() const { return bits(value, 1, 1) != 0; }
  constexpr unsigned shst() const { return bits(value, 3, 2); }
  constexpr bool nssro() const { return bits(value, 4, 4) != 0; }
  constexpr bool pp() const { return bits(value, 5, 5) != 0; }

  constexpr void set_rdy(bool on) { value = with_bits(value, 0, 0, std::uint32_t{on}); }
  constexpr void set_cfs(bool on) { value = with_bits(value, 1, 1, std::uint32_t{on}); }
  constexpr void set_shst(unsigned state) { value = with_bits(value, 3, 2, state); }
  constexpr void set_nssro(bool on) { value = with_bits(value, 4, 4, std::uint32_t{on}); }
  constexpr void set_pp(bool on) { value = with_bits(value, 5, 5, std::uint32_t{on}); }
};
inline constexpr unsigned kShstNormal = 0;
inline constexpr unsigned kShstOccurring = 1;
inline constexpr unsigned kShstComplete = 2;

struct Aqa {
  std::uint32_t value = 0;
  // Both are 0's based.
  constexpr std::uint16_t asqs() const { return static_cast<std::uint16_t>(bits(value, 11, 0)); }
  constexpr std::uint16_t acqs() const { return static_cast<std::uint16_t>(bits(value, 27, 16)); }
};

// Offset of a doorbell (sections 3.1.24 and 3.1.25).
constexpr std::uint32_t sq_tail_doorbell(unsigned qid, unsigned dstrd) {
  return kDoorbellBase + (2 * qid) * (4u << dstrd);
}
constexpr std::uint32_t cq_head_doorbell(unsigned qid, unsigned dstrd) {
  return kDoorbellBase + (2 * qid + 1) * (4u << dstrd);
}

// Name of the register at `offset`: "CC", "CAP+4" for the upper half of a 64-bit one, "SQ3TDBL" and
// "CQ3HDBL" for doorbells, "?" for what is reserved.
std::string register_name(std::uint32_t offset, unsigned dstrd = 0);

}  // namespace nvmesim::device::spec
