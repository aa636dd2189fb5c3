#include "host/nvme/error_status.hpp"

#include <map>

#include "tests/support/catch.hpp"

using namespace nvmesim::host;

TEST_CASE("each status of the whole 11-bit space has the block status that Linux gives it") {
  std::map<std::uint16_t, BlockStatus> expected{{0x000, BlockStatus::kOk},
                                                {0x081, BlockStatus::kNoSpace},
                                                {0x083, BlockStatus::kNexus},
                                                {0x370, BlockStatus::kTransport}};
  for (int code : {0x080, 0x021, 0x082}) expected[std::uint16_t(code)] = BlockStatus::kTarget;
  for (int code : {0x180, 0x183, 0x001, 0x002, 0x00b})
    expected[std::uint16_t(code)] = BlockStatus::kNotSupported;
  for (int code : {0x280, 0x281, 0x287, 0x286, 0x182, 0x285})
    expected[std::uint16_t(code)] = BlockStatus::kMedium;
  for (int code : {0x282, 0x283, 0x284, 0x181})
    expected[std::uint16_t(code)] = BlockStatus::kProtection;
  for (int code = 0; code <= kStatusMask; ++code) {
    const auto status = static_cast<std::uint16_t>(code);
    const auto found = expected.find(status);
    const BlockStatus wanted = found == expected.end() ? BlockStatus::kIoError : found->second;
    INFO("status " << std::hex << code);
    CHECK(error_status(status) == wanted);
    // Do Not Retry, More and the delay index change nothing here.
    CHECK(error_status(static_cast<std::uint16_t>(status | 0x7800)) == wanted);
  }
}

TEST_CASE(
    "a failed request is retried unless it may not, the drive forbids it, or it has had its "
    "turns") {
  const auto decide = [](std::uint16_t status, Attempt attempt) {
    return decide_disposition(status, attempt);
  };
  const Attempt first{.max_retries = 5};
  CHECK(decide(0, first) == Disposition::kComplete);
  CHECK(decide(0x281, first) == Disposition::kRetry);
  CHECK(decide(0x281, {.retries = 4, .max_retries = 5}) == Disposition::kRetry);
  CHECK(decide(0x281, {.retries = 5, .max_retries = 5}) == Disposition::kComplete);
  CHECK(decide(0x281, {.failfast = true, .max_retries = 5}) == Disposition::kComplete);
  CHECK(decide(0x281, {.dying = true, .max_retries = 5}) == Disposition::kComplete);
  CHECK(decide(0x281 | kStatusDoNotRetry, first) == Disposition::kComplete);
  CHECK(decide(kHostAborted, first) == Disposition::kRetry);
  CHECK(decide(0x281, {}) == Disposition::kComplete);
}

TEST_CASE("behind a head, errors of the path and a dying queue lead to another path") {
  for (unsigned code = 0; code <= kStatusMask; ++code) {
    const auto status = static_cast<std::uint16_t>(code);
    INFO("status " << std::hex << code);
    const Disposition found = decide_disposition(status, {.multipath = true, .max_retries = 5});
    CHECK(found == (code == 0              ? Disposition::kComplete
                    : (code >> 8 & 7) == 3 ? Disposition::kFailover
                                           : Disposition::kRetry));
    CHECK(is_ana_error(status) == (code == 0x301 || code == 0x302 || code == 0x303));
  }
  CHECK(decide_disposition(0x281, {.dying = true, .multipath = true, .max_retries = 5}) ==
        Disposition::kFailover);
  CHECK(decide_disposition(0x302 | kStatusDoNotRetry, {.multipath = true, .max_retries = 5}) ==
        Disposition::kComplete);
  CHECK(decide_disposition(0x302, {.failfast = true, .multipath = true, .max_retries = 5}) ==
        Disposition::kComplete);
}
