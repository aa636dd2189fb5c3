#include "sim/base/parse.hpp"

#include <limits>

#include "tests/support/catch.hpp"

namespace nvmesim::base {

TEST_CASE("whole numbers are taken whole or not at all") {
  CHECK(parse_unsigned("0") == 0U);
  CHECK(parse_unsigned("007") == 7U);
  CHECK(parse_unsigned("18446744073709551615") == ~std::uint64_t{0});
  for (const char* wrong :
       {"", " 1", "1 ", "+1", "-1", "1x", "0x10", "1.0", "18446744073709551616"}) {
    INFO(wrong);
    CHECK_FALSE(parse_unsigned(wrong));
  }
  CHECK(parse_signed("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
  CHECK(parse_signed("5") == 5);
  CHECK_FALSE(parse_signed("9223372036854775808"));
  CHECK_FALSE(parse_signed("--1"));
  CHECK_FALSE(parse_signed("-"));
}

TEST_CASE("hexadecimal numbers may have their prefix") {
  CHECK(parse_hex("ff") == 255U);
  CHECK(parse_hex("0xFF") == 255U);
  CHECK(parse_hex("0Xffffffffffffffff") == ~std::uint64_t{0});
  for (const char* wrong : {"", "0x", "0x0x1", "g", "-1", "0x10000000000000000"}) {
    INFO(wrong);
    CHECK_FALSE(parse_hex(wrong));
  }
}

TEST_CASE("sizes have units of powers of 1024") {
  CHECK(parse_size("0") == 0U);
  CHECK(parse_size("4096") == 4096U);
  for (const char* text : {"4k", "4K", "4ki", "4KiB", "4kb", "4kib"}) {
    INFO(text);
    CHECK(parse_size(text) == 4096U);
  }
  CHECK(parse_size("2m") == 2 * kMiB);
  CHECK(parse_size("1G") == kGiB);
  CHECK(parse_size("3t") == 3 * 1024 * kGiB);
  CHECK(parse_size("1p") == kMiB * kGiB);
  CHECK(parse_size("16383p") == kMiB * kGiB * 16383);
  for (const char* wrong : {"", "k", "4 k", "4kk", "4kx", "4kibs", "4b", "4i", "-4k", "1.5k",
                            "16384p", "18446744073709551615k"}) {
    INFO(wrong);
    CHECK_FALSE(parse_size(wrong));
  }
}

TEST_CASE("seconds with a fraction are exact") {
  CHECK(parse_decimal_ns("774.571935402") == 774'571'935'402);
  CHECK(parse_decimal_ns("0") == 0);
  CHECK(parse_decimal_ns("3") == 3'000'000'000);
  CHECK(parse_decimal_ns("0.1") == 100'000'000);
  CHECK(parse_decimal_ns("1.0000000019") == 1'000'000'001);  // cut off
  CHECK(parse_decimal_ns("1700000000.5") == 1'700'000'000'500'000'000);
  CHECK(parse_seconds("0.000000000001") == Time{1});
  CHECK(parse_seconds("774.571935402") == Time{774'571'935'402'000});
  CHECK(parse_seconds("0.0000000000010") == Time{1});
  CHECK_FALSE(parse_seconds("0.0000000000001"));
  for (const char* wrong :
       {"", ".", ".5", "5.", "1.2.3", "-1", "1e3", "1.x", " 1", "1 ", "9300000000"}) {
    INFO(wrong);
    CHECK_FALSE(parse_decimal_ns(wrong));
    CHECK_FALSE(parse_seconds(wrong));
  }
  CHECK_FALSE(parse_seconds("10000000"));  // beyond 106 days
}

}  // namespace nvmesim::base
