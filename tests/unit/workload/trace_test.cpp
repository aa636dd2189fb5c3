// Reading traces: the recordings that come with the project, each format's shapes, and what a
// user can get wrong.
#include "sim/workload/trace.hpp"

#include <algorithm>
#include <boost/iostreams/copy.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <map>
#include <sstream>

#include "sim/workload/line_source.hpp"
#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using host::BioOp;
using workload::read_trace;
using workload::Trace;
using workload::TraceEvent;

std::map<BioOp, std::uint64_t> count_ops(const Trace& trace) {
  std::map<BioOp, std::uint64_t> counts;
  for (const auto& request : trace.requests) ++counts[request.op];
  return counts;
}

// Rounded.
std::uint64_t mib_of(const Trace& trace, BioOp op) {
  std::uint64_t sectors = 0;
  for (const auto& request : trace.requests) sectors += request.op == op ? request.sectors : 0;
  return (sectors + 1024) / 2048;
}

Trace read_text(const std::string& text, const workload::ReadOptions& options = {}) {
  const TemporaryFile file(text);
  return read_trace(file.path(), options);
}

std::string error_of(const std::string& content) {
  const TemporaryFile file(content);
  const std::string text = user_error([&] { read_trace(file.path()); });
  return text.substr(0, file.path().size()) == file.path() ? text.substr(file.path().size()) : text;
}

std::string gzip(const std::string& text) {
  std::istringstream plain(text);
  std::ostringstream packed;
  boost::iostreams::filtering_streambuf<boost::iostreams::input> stream;
  stream.push(boost::iostreams::gzip_compressor());
  stream.push(plain);
  boost::iostreams::copy(stream, packed);
  return packed.str();
}

const std::string kIssue = "  7,0    1   774.5719  1034  D  WS 273440 + 8 [python3]\n";

}  // namespace

TEST_CASE("the sqlite recording holds its published counts") {
  const Trace trace = read_trace(recording("sqlite.blktrace.txt.gz"));
  CHECK(trace.format == "ftrace-blk");
  CHECK(trace.gzip);
  CHECK(trace.timed);
  REQUIRE(trace.requests.size() == 27'145);
  auto counts = count_ops(trace);
  CHECK(counts[BioOp::kWrite] == 19'030);
  CHECK(counts[BioOp::kFlush] == 8'115);
  CHECK(mib_of(trace, BioOp::kWrite) == 237);
  CHECK(trace.unknown_lines == 0);
  CHECK(trace.lines == trace.other_lines + trace.requests.size());
  CHECK(trace.requests.front().at == 0ns);
  CHECK(trace.requests.back().at > 14s);
  CHECK(trace.requests.back().at < 14200ms);
  CHECK(trace.requests.front().sector == 273440);
  CHECK(trace.requests.front().sync);
  CHECK(trace.requests.front().cpu == 1);
  REQUIRE(trace.spaces.size() == 1);
  CHECK(trace.spaces[0].name == "7,0");
  CHECK(trace.spaces[0].first_sector == 0);
}

TEST_CASE("the devwork recording holds its published counts") {
  const Trace trace = read_trace(recording("devwork.blktrace.txt.gz"));
  REQUIRE(trace.requests.size() == 1'837);
  auto counts = count_ops(trace);
  CHECK(counts[BioOp::kRead] == 909);
  CHECK(counts[BioOp::kWrite] == 676);
  CHECK(counts[BioOp::kDiscard] == 43);
  CHECK(counts[BioOp::kFlush] == 209);
  CHECK(mib_of(trace, BioOp::kRead) == 64);
  CHECK(mib_of(trace, BioOp::kWrite) == 210);
  CHECK(mib_of(trace, BioOp::kDiscard) == 739);
  CHECK(trace.unknown_lines == 0);
}

TEST_CASE("fio's own log of the fio recording holds its published counts") {
  const Trace trace = read_trace(recording("fio-mix.iolog.gz"));
  CHECK(trace.format == "fio-iolog-v3");
  REQUIRE(trace.requests.size() == 30'370);
  auto counts = count_ops(trace);
  CHECK(counts[BioOp::kRead] == 21'281);
  CHECK(counts[BioOp::kWrite] == 9'089);
  CHECK(trace.unknown_lines == 0);
  CHECK(trace.requests.front().sector == 188649472 / 512);
  CHECK(trace.requests[1].at == (7494us - 2276us));
}

TEST_CASE("the block trace of the fio recording has its issues and its queued requests") {
  const std::string path = recording("fio-mix.blktrace.txt.gz");
  CHECK(read_trace(path).requests.size() == 30'599);
  const Trace queued = read_trace(path, {TraceEvent::kQueued, 0});
  CHECK(queued.requests.size() == 30'416);
  CHECK(queued.requests.front().sectors == 16'384);
}

TEST_CASE("blkparse lines are told from ftrace lines by their sequence number") {
  const Trace trace = read_text(
      "  8,0    3        1     0.000000000   697  G   W 223490 + 8 [kjournald]\n"
      "  8,0    3        2     0.000001829   697  P   R [kjournald]\n"
      "  8,0    3        3     0.000002197   697  Q   W 223490 + 8 [kjournald]\n"
      "  8,0    3        6     0.000005514   697  D   W 223490 + 8 [a comm with spaces]\n"
      "  8,0    1        1     0.000100000     0  C   W 223490 + 8 [0]\n"
      "CPU3 (8,0):\n"
      " Reads Queued:           0,        0KiB\t Writes Queued:           1,        4KiB\n"
      "Throughput (R/W): 0KiB/s / 4KiB/s\n");
  CHECK(trace.format == "blkparse");
  CHECK(trace.unknown_lines == 0);
  REQUIRE(trace.requests.size() == 1);
  CHECK(trace.requests[0].sector == 223490);
  CHECK(trace.requests[0].sectors == 8);
  CHECK(trace.requests[0].cpu == 3);
}

TEST_CASE("the letters of RWBS become operations and flags") {
  const auto one = [](const std::string& rwbs, const std::string& range) {
    const Trace trace = read_text("7,0 1 1.5 10 D " + rwbs + " " + range + " [x]\n");
    REQUIRE(trace.requests.size() == 1);
    return trace.requests[0];
  };
  CHECK(one("R", "8 + 8").op == BioOp::kRead);
  CHECK(one("RA", "8 + 8").op == BioOp::kRead);
  CHECK_FALSE(one("RA", "8 + 8").sync);
  CHECK(one("DS", "8 + 8").op == BioOp::kDiscard);
  CHECK(one("DE", "8 + 8").op == BioOp::kDiscard);
  CHECK(one("N", "8 + 8").op == BioOp::kWriteZeroes);
  CHECK(one("FN", "").op == BioOp::kFlush);
  CHECK(one("FF", "").op == BioOp::kFlush);
  CHECK(one("F", "").op == BioOp::kFlush);
  CHECK(one("FWS", "").op == BioOp::kFlush);
  CHECK(one("FWS", "").sectors == 0);
  CHECK_FALSE(one("FWS", "").preflush);
  const auto all = one("FWFSM", "64 + 16");
  CHECK(all.op == BioOp::kWrite);
  CHECK(all.preflush);
  CHECK(all.fua);
  CHECK(all.sync);
  const auto fua = one("WFS", "64 + 16");
  CHECK_FALSE(fua.preflush);
  CHECK(fua.fua);
}

TEST_CASE("lines that are no request are told from lines that make no sense") {
  const Trace trace = read_text(kIssue +
                                "  7,0 1 774.6 10  P   N [python3]\n"                     // other
                                "  7,0 1 774.6 10  U   N [python3] 1\n"                   // other
                                "  7,0 1 774.6 10  X  WS 573440 / 576000 [fio]\n"         // other
                                "  7,0 1 774.6 10  A  WS 8 + 8 <- (7,1) 0\n"              // other
                                "  7,0 1 774.6 10  m   N cfq workload slice:100\n"        // other
                                "  7,0 1 774.6 10  C  FN 0 [0]\n"                         // other
                                "  7,0 1 774.6 10  C WSM 548704 [0]\n"                    // other
                                "  7,0 1 774.6 10  D   N 36 (12 00 00 00 24 00) [x]\n"    // other
                                "# a comment\n"                                           // other
                                "  7,0 1 774.6 10  D  WS 99999999999999999999 + 8 [x]\n"  // unknown
                                "  7,0 1 774.6 10  D  WS 8 + 99999999999999 [x]\n"        // unknown
                                "  7,0 1 774.6 10  D  W? 8 + 8 [x]\n"                     // unknown
                                "  7,0 1 77x.6 10  D  WS 8 + 8 [x]\n"                     // unknown
                                "  7,0 1 774.6 10  Y  WS 8 + 8 [x]\n"                     // unknown
                                "what is this\n");                                        // unknown
  CHECK(trace.requests.size() == 1);
  CHECK(trace.other_lines == 9);
  CHECK(trace.unknown_lines == 6);
}

TEST_CASE("times begin at 0, are exact, and are put in order") {
  const Trace trace = read_text(
      "7,0 0 50000000.000000100 1 D W 8 + 8 [x]\n"
      "7,0 1 50000000.000000001 1 D W 16 + 8 [x]\n"
      "7,0 0 50000001.5 1 D W 24 + 8 [x]\n");
  CHECK(trace.out_of_order == 1);
  REQUIRE(trace.requests.size() == 3);
  CHECK(trace.requests[0].sector == 16);
  CHECK(trace.requests[0].at == 0ns);
  CHECK(trace.requests[1].at == 99ns);
  CHECK(trace.requests[2].at == 1499999999ns);
}

TEST_CASE("a time far from all others is refused with the lines that it lies between") {
  // An early one at the start would take all others out of the trace; a late one in the middle
  // would be the last.
  CHECK(error_of("7,0 0 0.5 1 D W 8 + 8 [x]\n"
                 "7,0 0 0.5 1 C W 8 + 8 [0]\n"
                 "7,0 1 9000000.5 1 D W 16 + 8 [x]\n"
                 "7,0 0 9000000.6 1 D W 24 + 8 [x]\n")
            .find(":3: is 104 days later than line 1, but a replay spans at most 90") !=
        std::string::npos);
  CHECK(error_of("7,0 0 1.5 1 D W 8 + 8 [x]\n"
                 "7,0 1 9000000.5 1 D W 16 + 8 [x]\n"
                 "7,0 0 2.5 1 D W 24 + 8 [x]\n")
            .find(":2: is 104 days later than line 3") != std::string::npos);
  CHECK(read_text("7,0 0 0.5 1 D W 8 + 8 [x]\n"
                  "7,0 1 7776000.5 1 D W 16 + 8 [x]\n")
            .requests.size() == 2);
}

TEST_CASE("the size and check sum of a trace are those of its file, packed or not") {
  const Trace plain = read_text(kIssue);
  CHECK(plain.file_bytes == kIssue.size());
  CHECK(plain.file_crc32 == read_text(kIssue).file_crc32);
  CHECK(plain.file_crc32 != read_text(kIssue + "\n").file_crc32);
  const std::string packed = gzip(kIssue);
  const TemporaryFile file(packed, "packed");
  CHECK(read_trace(file.path()).file_bytes == packed.size());
  CHECK(read_trace(file.path()).gzip);
  const TemporaryFile digits("123456789", "digits");  // of the CRC's definition
  workload::LineSource source(digits.path());
  std::string_view line;
  while (source.next(line)) {
  }
  CHECK(source.file_crc32() == 0xCBF43926);
}

TEST_CASE("a pipe is read like a file, packed or not") {
  for (const std::string& content : {kIssue + kIssue, gzip(kIssue + kIssue), std::string("7")}) {
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    REQUIRE(write(ends[1], content.data(), content.size()) == static_cast<ssize_t>(content.size()));
    close(ends[1]);
    const std::string path = "/dev/fd/" + std::to_string(ends[0]);
    if (content.size() > 1) {
      CHECK(read_trace(path).requests.size() == 2);
    } else {
      CHECK(user_error([&] { read_trace(path); }).find("no known trace format") !=
            std::string::npos);
    }
    close(ends[0]);
  }
}

TEST_CASE("a line without an end is refused, also when it is packed small") {
  const auto endless = [](const std::string& path) {
    return user_error([&] { read_trace(path); })
        .find("a line of more than 16 MiB; this is no text");
  };
  CHECK(endless("/dev/zero") != std::string::npos);
  const TemporaryFile bomb(gzip(std::string(17 << 20, '\0')), "bomb");
  CHECK(endless(bomb.path()) != std::string::npos);
}

TEST_CASE("a fio log has no events to choose from, a block trace has") {
  CHECK(read_text(kIssue).has_events);
  CHECK_FALSE(read_text("fio version 2 iolog\na read 0 4096\n").has_events);
}

TEST_CASE("several devices lie side by side, each on its own MiB") {
  const Trace trace = read_text(
      "7,0 0 1.0 1 D W 100 + 8 [x]\n"
      "7,1 0 1.1 1 D W 5000 + 8 [x]\n"
      "7,2 0 1.2 1 D W 3 + 1 [x]\n"
      "7,0 0 1.3 1 D W 200 + 8 [x]\n");
  REQUIRE(trace.spaces.size() == 3);
  CHECK(trace.spaces[0].requests == 2);
  CHECK(trace.spaces[1].first_sector == 2048);
  CHECK(trace.spaces[2].first_sector == 2048 + 6144);
  CHECK(trace.requests[1].sector == 2048 + 5000);
  CHECK(trace.requests[2].sector == 2048 + 6144 + 3);
}

TEST_CASE("iolog version 2 adds its waits up and makes syncs flushes") {
  const Trace trace = read_text(
      "fio version 2 iolog\n"
      "/dev/a add\n"
      "/dev/a open\n"
      "/dev/a write 4096 4096\n"
      "/dev/a wait 250 0\n"
      "/dev/a read 1000 24\n"
      "/dev/a wait 100 0\n"
      "/dev/a sync 0 0\n"
      "/dev/a datasync\n"
      "/dev/a trim 1048576 65536\n"
      "/dev/a close\n");
  CHECK(trace.format == "fio-iolog-v2");
  CHECK(trace.timed);
  REQUIRE(trace.requests.size() == 5);
  CHECK(trace.requests[0].op == BioOp::kWrite);
  CHECK(trace.requests[0].sector == 8);
  CHECK(trace.requests[1].at == 250us);
  CHECK(trace.requests[1].sector == 1);  // bytes 1000 to 1023 lie in sector 1
  CHECK(trace.requests[1].sectors == 1);
  CHECK(trace.requests[2].op == BioOp::kFlush);
  CHECK(trace.requests[2].at == 350us);
  CHECK(trace.requests[3].op == BioOp::kFlush);
  CHECK(trace.requests[4].op == BioOp::kDiscard);
  CHECK(trace.requests[4].sectors == 128);
  CHECK(trace.unknown_lines == 0);
}

TEST_CASE("iolog version 2 without waits has no arrival times") {
  CHECK_FALSE(read_text("fio version 2 iolog\na read 0 4096\n").timed);
}

TEST_CASE("a request of more sectors than 32 bits hold becomes several") {
  const Trace trace = read_text("fio version 3 iolog\n5 a trim 0 5497558138880\n");  // 5 TiB
  std::uint64_t next = 0;
  for (const auto& request : trace.requests) {
    CHECK(request.sector == next);
    next += request.sectors;
  }
  CHECK(next == 5497558138880 / 512);
  CHECK(trace.requests.size() == 5);
}

TEST_CASE("the limit takes the first requests and counts the others") {
  const Trace trace = read_trace(recording("devwork.blktrace.txt.gz"), {TraceEvent::kIssue, 100});
  CHECK(trace.requests.size() == 100);
  CHECK(trace.beyond_limit == 1'737);
}

TEST_CASE("what is no trace gives one line that says where, what and what to do") {
  CHECK(user_error([] { read_trace("/nowhere/x.txt"); }) ==
        "/nowhere/x.txt: no such file; check the path");
  CHECK(user_error([] { read_trace("/tmp"); }) == "/tmp: is a directory; give a file in it");
  CHECK(error_of("") == ": is empty; check the path");
  CHECK(error_of(gzip("")) == ": is empty; check the path");
  CHECK(error_of("hello\nworld\n")
            .find("no known trace format in the first 64 lines; known are "
                  "blkparse, ftrace-blk, fio-iolog-v2, fio-iolog-v3") != std::string::npos);
  CHECK(error_of("7,0 1 774.6 10 C FN 0 [0]\n").find("holds no request") != std::string::npos);
  CHECK(error_of(std::string(1'000'000, '\0')).find("no known trace format") != std::string::npos);
}

TEST_CASE("a format that begins after 64 lines is not found, one within them is") {
  std::string noise;
  for (int i = 0; i < 64; ++i) noise += "noise\n";
  CHECK(error_of(noise + kIssue).find("no known trace format") != std::string::npos);
  const Trace trace = read_text(noise.substr(6) + kIssue);
  CHECK(trace.requests.size() == 1);
  CHECK(trace.unknown_lines == 63);
}

TEST_CASE("a line beyond the length that is read is one unknown line") {
  const Trace trace = read_text(kIssue + std::string(300'000, 'x') + "\n" + kIssue);
  CHECK(trace.lines == 3);
  CHECK(trace.unknown_lines == 1);
  CHECK(trace.requests.size() == 2);
}

TEST_CASE("a gzip stream cut anywhere is refused, also behind the limit") {
  std::string text;
  for (int i = 0; i < 40; ++i) text += kIssue;
  const std::string whole = gzip(text);
  const TemporaryFile good(whole, "good");
  REQUIRE(read_trace(good.path()).requests.size() == 40);
  for (std::size_t length = 2; length < whole.size(); ++length) {
    const TemporaryFile file(whole.substr(0, length), "cut");
    const std::string error = user_error([&] { read_trace(file.path(), {TraceEvent::kIssue, 1}); });
    INFO("cut to " << length << " of " << whole.size());
    CHECK(error == file.path() + ": the gzip stream is truncated or damaged; copy the file again");
  }
}

TEST_CASE("a gzip stream with any byte of its data or check sum changed is refused") {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "7,0 1 " + std::to_string(i * i) + ".5 1 D W 8 + 8 [x]\n";
  const std::string whole = gzip(text);
  // The last four bytes, the length, add nothing to the check sum and are not looked at.
  const std::size_t end = whole.size() - 4;
  for (std::size_t at = 10; at < end; at += at + 12 < end ? 7 : 1) {
    std::string bad = whole;
    bad[at] = static_cast<char>(bad[at] ^ 0x55);
    INFO("byte " << at << " of " << whole.size());
    CHECK(error_of(bad) != "no error");
  }
}

TEST_CASE("gzip members one after the other are one trace, garbage behind them is refused") {
  const TemporaryFile two(gzip(kIssue) + gzip(kIssue), "two");
  CHECK(read_trace(two.path()).requests.size() == 2);
  CHECK(error_of(gzip(kIssue) + "garbage").find("truncated or damaged") != std::string::npos);
}

TEST_CASE("lines may end with a carriage return, the last one without an end") {
  const Trace trace = read_text("7,0 1 1.5 1 D FN [x]\r\n7,0 1 1.6 1 D FN\r\n7,0 1 1.7 1 D FN [x]");
  CHECK(trace.requests.size() == 3);
  CHECK(trace.unknown_lines == 0);
}

}  // namespace nvmesim::test
