// Damaged traces: whatever the bytes, a trace is read or refused with a UserError, and what is
// read makes sense. The seed of a failing round is in the message.
#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <sstream>

#include "sim/base/random.hpp"
#include "sim/workload/trace.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

std::string unpack(const std::string& path, std::size_t bytes) {
  std::istringstream packed(file_content(path));
  std::ostringstream plain;
  boost::iostreams::filtering_streambuf<boost::iostreams::input> stream;
  stream.push(boost::iostreams::gzip_decompressor());
  stream.push(packed);
  boost::iostreams::copy(stream, plain);
  return plain.str().substr(0, bytes);
}

void mutate(std::string& text, base::Random& random) {
  static const std::string_view kNasty[] = {"18446744073709551615",
                                            "18446744073709551616",
                                            "-1",
                                            "9223372036854775807",
                                            ".",
                                            ",",
                                            "+",
                                            "99999999999999999999999",
                                            "[",
                                            "\n\n",
                                            " + ",
                                            "fio version 2 iolog\n",
                                            "e9",
                                            "0x10",
                                            "36028797018963968",
                                            "274877906944"};
  const std::uint64_t edits = 1 + random.below(12);
  for (std::uint64_t i = 0; i < edits && !text.empty(); ++i) {
    const std::size_t at = random.below(text.size());
    switch (random.below(5)) {
      case 0:
        text[at] = static_cast<char>(random.below(256));
        break;
      case 1:
        text.erase(at, random.below(200));
        break;
      case 2:
        text.insert(at, text.substr(random.below(text.size()), random.below(300)));
        break;
      case 3:
        text.insert(at, kNasty[random.below(std::size(kNasty))]);
        break;
      default: {
        // A number becomes a nasty one.
        const auto digit = text.find_first_of("0123456789", at);
        if (digit == text.npos) break;
        const auto end = text.find_first_not_of("0123456789", digit);
        text.replace(digit, end == text.npos ? text.npos : end - digit,
                     kNasty[random.below(std::size(kNasty))]);
      }
    }
  }
}

// Returns whether the trace could be read.
bool read_and_check(const std::string& content) {
  const TemporaryFile file(content, "fuzz");
  try {
    const auto trace = workload::read_trace(
        file.path(),
        {content.size() % 2 == 0 ? workload::TraceEvent::kIssue : workload::TraceEvent::kQueued,
         0});
    base::Time last{0};
    for (const auto& request : trace.requests) {
      CHECK(request.at >= last);
      CHECK((request.sectors > 0) == (request.op != host::BioOp::kFlush));
      last = request.at;
    }
    CHECK(last <= std::chrono::hours{90 * 24});
    return true;
  } catch (const base::UserError& error) {
    CHECK(std::string_view(error.what()).substr(0, file.path().size()) == file.path());
    return false;
  }
}

}  // namespace

TEST_CASE("mutated recordings are read or refused, never worse") {
  const std::string originals[] = {unpack(recording("sqlite.blktrace.txt.gz"), 20'000),
                                   unpack(recording("devwork.blktrace.txt.gz"), 20'000),
                                   unpack(recording("fio-mix.iolog.gz"), 20'000),
                                   file_content(recording("block-rq-events.txt"))};
  int readable = 0;
  for (std::uint64_t seed = 0; seed < 1'200; ++seed) {
    INFO("seed " << seed);
    base::Random random(seed, "fuzz");
    std::string text = originals[seed % 4];
    mutate(text, random);
    readable += read_and_check(text) ? 1 : 0;
  }
  CHECK(readable > 600);  // else it tests only the refusals
}

TEST_CASE("mutated gzip streams are read or refused, never worse") {
  const std::string original = file_content(recording("devwork.blktrace.txt.gz"));
  int readable = 0;
  for (std::uint64_t seed = 0; seed < 150; ++seed) {
    INFO("seed " << seed);
    base::Random random(seed, "fuzz.gzip");
    std::string packed = original;
    mutate(packed, random);
    readable += read_and_check(packed) ? 1 : 0;
  }
  CHECK(readable < 10);  // the check sum finds nearly all of it
}

}  // namespace nvmesim::test
