// fio job files: sections, defaults, every option's values, and errors that name their place.
#include "sim/workload/job_file.hpp"

#include "support.hpp"
#include "tests/support/catch.hpp"

namespace nvmesim::test {
namespace {

using workload::JobFile;
using workload::JobOptions;
using workload::parse_job;

JobOptions one(const std::string& options) {
  const JobFile file = parse_job("[job]\n" + options, "f.fio");
  REQUIRE(file.jobs.size() == 1);
  return file.jobs[0];
}

std::string error_of(const std::string& text) {
  return user_error([&] { parse_job(text, "f.fio"); });
}

}  // namespace

TEST_CASE("global options are the defaults of the sections that follow them") {
  const JobFile file = parse_job(
      "; a comment\n"
      "# another\n"
      "[global]\n"
      "bs = 8k   ; with blanks\n"
      "iodepth=4\n"
      "\n"
      "[first]\n"
      "iodepth=8 # deeper\r\n"
      "[global]\n"
      "bs=16k\n"
      "[second job]\n"
      "name=other\n",
      "f.fio");
  REQUIRE(file.jobs.size() == 2);
  CHECK(file.jobs[0].name == "first");
  CHECK(file.jobs[0].line == 7);
  CHECK(file.jobs[0].block_bytes[0] == 8192);
  CHECK(file.jobs[0].iodepth == 8);
  CHECK(file.jobs[1].name == "other");
  CHECK(file.jobs[1].block_bytes[1] == 16384);
  CHECK(file.jobs[1].iodepth == 4);
}

TEST_CASE("sizes are read as fio does by default: k and kb binary, ki and kib decimal") {
  const auto size = [](const std::string& text) {
    return workload::parse_job("[j]\nrw=write\nsize=" + text + "\n", "j.fio").jobs[0].size.value;
  };
  for (const char* text : {"4096", "4k", "4K", "4kb", "4KB"}) {
    INFO(text);
    CHECK(size(text) == 4096);
  }
  for (const char* text : {"4000", "4ki", "4Ki", "4kib", "4KiB"}) {
    INFO(text);
    CHECK(size(text) == 4000);
  }
  CHECK(size("3m") == 3 << 20);
  CHECK(size("3mib") == 3'000'000);
  CHECK(size("2gib") == 2'000'000'000);
  CHECK(size("2g") == std::uint64_t{2} << 30);
  CHECK(size("1tib") == 1'000'000'000'000);
  CHECK(size("1pib") == 1'000'000'000'000'000);
}

TEST_CASE("options are kept as the file has them, the name of the file too") {
  const auto file = workload::parse_job(
      "[global]\nbs=8k\n[a]\nrw=read\nfilename=/dev/nvme1n1\n[b]\nbs=4k\n", "j.fio");
  using Given = std::map<std::string, std::string>;
  CHECK(file.jobs[0].given == Given{{"bs", "8k"}, {"filename", "/dev/nvme1n1"}, {"rw", "read"}});
  CHECK(file.jobs[0].filename == "/dev/nvme1n1");
  CHECK(file.jobs[1].given == Given{{"bs", "4k"}});
}

TEST_CASE("the buffers of a job are known before it runs") {
  const auto bytes = [](const std::string& options) {
    return workload::parse_job("[j]\n" + options, "j.fio").jobs[0].buffer_bytes();
  };
  CHECK(bytes("rw=read\nbs=1g\niodepth=8\nioengine=libaio\n") == std::uint64_t{8} << 30);
  CHECK(bytes("rw=read\nbs=1g\niodepth=8\nioengine=psync\n") == std::uint64_t{1} << 30);
  CHECK(bytes("rw=rw\nbs=4k,96k\niodepth=3\nnumjobs=5\nioengine=libaio\n") == 15 * 128 * 1024);
  CHECK(bytes("rw=read\nbs=64k\nsize=128k\niodepth=64\nioengine=libaio\n") == 2 * 64 * 1024);
  CHECK(bytes("rw=read\nbs=512\nnumber_ios=3\niodepth=64\nioengine=libaio\n") == 3 * 4096);
  CHECK(bytes("rw=trim\nbs=1g\n") == 0);
}

TEST_CASE("without options a job is fio's: 4 KiB sequential reads by psync") {
  const JobOptions job = one("");
  CHECK((job.reads && !job.writes && !job.trims && !job.random));
  CHECK(job.block_bytes[0] == 4096);
  CHECK(job.iodepth == 1);
  CHECK(job.numjobs == 1);
  CHECK(job.engine->name == "psync");
  CHECK(job.engine->synchronous);
  CHECK_FALSE(job.size_given);
}

TEST_CASE("each option sets what it names") {
  CHECK((one("rw=randrw").reads && one("rw=randrw").writes && one("rw=randrw").random));
  CHECK((one("readwrite=trim").trims && !one("rw=trim").reads));
  CHECK(one("rwmixread=70").read_percent == 70);
  CHECK(one("rwmixwrite=70").read_percent == 30);
  CHECK(one("bs=4k,8k,64k").block_bytes == std::array<std::uint64_t, 3>{4096, 8192, 65536});
  CHECK(one("bs=4k,8k").block_bytes == std::array<std::uint64_t, 3>{4096, 8192, 8192});
  CHECK(one("bs=,8k").block_bytes == std::array<std::uint64_t, 3>{4096, 8192, 8192});
  CHECK(one("bs=,8k,").block_bytes == std::array<std::uint64_t, 3>{4096, 8192, 4096});
  CHECK(one("blocksize=1m").block_bytes[2] == 1 << 20);
  CHECK(one("size=50%").size.bytes_of(1000) == 500);
  CHECK(one("size=2g").size.value == std::uint64_t{2} << 30);
  CHECK(one("offset=10%").offset.percent);
  CHECK(one("runtime=10").runtime == 10s);
  CHECK(one("runtime=250ms").runtime == 250ms);
  CHECK(one("runtime=2m").runtime == 120s);
  CHECK(one("time_based\nruntime=1").time_based);
  CHECK_FALSE(one("time_based=0").time_based);
  CHECK(one("number_ios=12345").number_ios == 12345);
  CHECK(one("random_distribution=zipf:0.9").zipf_theta == "0.9");
  CHECK(one("random_distribution=zipf").zipf);
  CHECK_FALSE(one("random_distribution=random").zipf);
  CHECK(one("randseed=42").seed == 42);
  CHECK(one("ioengine=io_uring").engine->name == "io_uring");
  CHECK(one("verify=crc32c").verify);
  CHECK_FALSE(one("verify=0").verify);
  CHECK(one("fsync=32").fsync == 32);
  CHECK(one("numjobs=3").numjobs == 3);
  CHECK(one("offset_increment=1m").offset_increment == 1 << 20);
  CHECK(one("norandommap").no_random_map);
  CHECK(one("direct=1\ngroup_reporting\nfilename=/dev/nvme0n1").name == "job");
}

TEST_CASE("an unknown option is named with its place and its nearest kin") {
  CHECK(error_of("[job]\nrw=read\niodpeth=4\n") ==
        "f.fio:3: unknown option 'iodpeth'; did you mean 'iodepth'?");
  CHECK(error_of("[global]\nzzzzzzzzzzzzzz=4\n") ==
        "f.fio:2: unknown option 'zzzzzzzzzzzzzz'; remove it");
}

TEST_CASE("values that an option cannot take are refused with its place") {
  for (const char* bad : {"rw=sideways",
                          "bs=0",
                          "bs=4x",
                          "bs=4k,8k,16k,32k",
                          "bs=",
                          "bs=4k,0",
                          "iodepth=0",
                          "iodepth=-1",
                          "rwmixread=101",
                          "size=0",
                          "size=101%",
                          "size=x%",
                          "runtime=5w",
                          "runtime=99999999999999d",
                          "runtime=100d",
                          "time_based=maybe",
                          "random_distribution=pareto",
                          "numjobs=99999",
                          "random_distribution=zipf:-1",
                          "random_distribution=zipfy",
                          "ioengine=spdk",
                          "direct=0",
                          "verify=sha0",
                          "fsync=18446744073709551616",
                          "number_ios=x"}) {
    INFO(bad);
    const std::string error = error_of(std::string("[job]\n") + bad + "\n");
    CHECK(error.find("f.fio:2: " + std::string(bad) + ": ") == 0);
  }
  CHECK(error_of("[job]\nioengine=spdk") ==
        "f.fio:2: ioengine=spdk: known engines are psync, sync, libaio, io_uring");
}

TEST_CASE("what is no job file is refused") {
  CHECK(error_of("") == "f.fio: holds no job; add a section like [job1] with its options");
  CHECK(error_of("[global]\nbs=4k\n").find("holds no job") != std::string::npos);
  CHECK(error_of("bs=4k\n").find("f.fio:1: an option before the first section") == 0);
  CHECK(error_of("[job\n").find("f.fio:1: '[job' is no section") == 0);
  CHECK(error_of("[]\n").find("f.fio:1: '[]' is no section") == 0);
  CHECK(error_of("[job]\nbs\n") == "f.fio:2: option 'bs' needs a value");
  CHECK(error_of("[a]\ntime_based\n[b]\n") ==
        "f.fio:1: job 'a' is time_based without an end; add runtime=");
}

TEST_CASE("a job file is read from disk, with the same errors as a trace") {
  const TemporaryFile file("[job]\nrw=write\n", "job");
  CHECK(workload::read_job(file.path()).jobs.size() == 1);
  CHECK(workload::read_job(file.path()).path == file.path());
  CHECK(user_error([] { workload::read_job("/nowhere.fio"); }).find("/nowhere.fio: no such file") ==
        0);
  CHECK(user_error([] { workload::read_job("/tmp"); }).find("/tmp: is a directory") == 0);
}

}  // namespace nvmesim::test
