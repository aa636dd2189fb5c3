// Every conditional line of a probe: a table with a row for each thing that a device or a kernel
// may have. A row's lines are what goes over the wire instead of what a plain device's does; the
// whole probe and shutdown must come out exactly, for Linux 5.15 and 6.1. A row without lines is a
// device that misses one half of a condition: it must look like the plain one.
#include "tests/system/probe_rows.hpp"
#include "sim/system/personas.hpp"

namespace nvmesim::test {
namespace {

// --- registers

std::vector<Row> register_rows() {
  std::vector<Row> rows;
  rows.push_back(both("nothing", {}));
  rows.push_back(with_cap(
      both("a controller memory buffer of 1.4: CAP.CMBS and CMBSZ", {kController + "cmb.pages=512"},
           {{"@cmb",
             {"W 0050 1", "R 003c 20001d", "R 0038 e2", "W 0054 address", "W 0050 address+3"}}}),
      0x0200'0020));
  Row none = with_cap(both("CAP.CMBS, but CMBSZ is 0", {}, {{"@cmb", {"W 0050 1", "R 003c 0"}}}),
                      0x0200'0020);
  none.faults = reads_as(spec::kRegCap + 4, 0x0200'0000);
  rows.push_back(none);
  Row old = both("a controller memory buffer of 1.3: CMBSZ without CAP.CMBS", {},
                 {{"@cmb", {"R 003c 200018", "R 0038 0"}}});
  old.faults = reads_as(spec::kRegCmbsz, 0, 0x0020'0018);
  rows.push_back(old);
  const std::string nssrs = kController + "nssrs=true";
  rows.push_back(with_cap(
      both("subsystem reset, 1.1 and later: CAP.NSSRS", {nssrs}, {{"@nssr", {"R 001c 0"}}}), 0x30));
  rows.push_back(with_cap(older("CAP.NSSRS of a 1.0 device", 0x10000, {nssrs}), 0x30));
  Row occurred = with_cap(both("a subsystem reset has occurred: CSTS.NSSRO", {nssrs},
                               {{"@alive", {"R 001c 10"}}, {"@nssr", {"R 001c 10", "W 001c 10"}}}),
                          0x30);
  occurred.faults = reads_as(spec::kRegCsts, 0x10, 0, {.count = 2});
  rows.push_back(occurred);
  Row sets = with_cap(
      both("several command sets: CAP.CSS bit 6", {kController + "registers.revision=v2_0"},
           {{"@cc_first", {"W 0014 460060"}},
            {"@cc", {"W 0014 460061"}},
            {"@cc_shutdown", {"W 0014 464061"}}}),
      0x820);
  sets.version = 0x20000;
  sets.faults = [](fault::Rules& rules) {
    reads_as(spec::kRegCap + 4, 0x800)(rules);
    rules.on_register({.offset = spec::kRegCc, .write = true}, fault::kEveryTime,
                      [](device::RegisterAccess& access) { access.value &= ~std::uint64_t{0x70}; });
  };
  rows.push_back(sets);
  Row modes =
      with_cap(each("ready with media: CAP.CRWMS",
                    {kController + "registers.revision=v2_0", kController + "registers.crms=1"}, {},
                    {{"@crto", {"R 0068 1"}}}),
               0x0800'0020);
  modes.version = 0x20000;
  rows.push_back(modes);
  Row independent =
      with_cap(each("ready independent of media: CAP.CRIMS",
                    {kController + "registers.revision=v2_0", kController + "registers.crms=3"}, {},
                    {{"@crto", {"R 0068 10001"}},
                     {"@scan",
                      {"op 06 nsid 0 prp1 c10 2 c11 0", "op 06 nsid 1 prp1 c10 3 c11 0",
                       "op 06 nsid 1 prp1 c10 8 c11 0", "op 06 nsid 1 prp1 c10 0 c11 0"}}}),
               0x1800'0020);
  independent.version = 0x20000;
  rows.push_back(independent);
  rows.push_back(older("version 1.0: no list of namespaces", 0x10000));
  rows.push_back(older("version 1.1: a list, no descriptors", 0x10100));
  rows.push_back(older("version 1.2: no descriptors", 0x10200));
  rows.push_back(older("version 1.3: descriptors", 0x10300));
  return rows;
}

// --- what Identify Controller offers

std::vector<Row> identify_rows() {
  std::vector<Row> rows;
  rows.push_back(both("effects log: LPA bit 1", {kController + "lpa=6"},
                      {{"@effects", {"op 02 nsid 0 prp1 c10 3ff0005 c11 0"}}}));
  const std::string ana = kController + "management.ana=true";
  // 16 + 2 * 32 + 1 * 4 bytes
  rows.push_back(both("asymmetric namespace access: CMIC bit 3", {ana},
                      {{"@ana", {"op 02 nsid ffffffff prp1 c10 14000c c11 0"}}}));
  rows.push_back(both("CMIC bit 3, and nvme_core.multipath=0", {ana, "driver.multipath=false"}));
  const std::string states = kController +
                             "power.states=[{\"max_power_centiwatts\":500,\"non_operational\":true,"
                             "\"entry_latency_us\":1000,\"exit_latency_us\":1000}]";
  rows.push_back(both("autonomous power states: APSTA", {states, kController + "power.apst=true"},
                      {{"@apst", {"op 09 nsid 0 prp1 c10 c c11 1"}}}));
  rows.push_back(both("power states without APSTA", {states}));
  rows.push_back(both("timestamp: ONCS bit 6", {kController + "oncs=64"},
                      {{"@timestamp", {"op 09 nsid 0 prp1 c10 e c11 0"}}}));
  const std::string streams = kController + "management.streams=8";
  rows.push_back(
      each("streams: OACS bit 5 and nvme_core.streams=1", {streams, "driver.streams=true"},
           {{"@streams",
             {"op 19 nsid ffffffff no prp1 c10 0 c11 1", "op 1a nsid ffffffff prp1 c10 7 c11 101"}},
            {"@scan",
             {"op 06 nsid 0 prp1 c10 2 c11 0", "op 06 nsid 1 prp1 c10 3 c11 0",
              "op 06 nsid 1 prp1 c10 0 c11 0", "op 1a nsid 1 prp1 c10 7 c11 101"}}},
           {}));
  rows.push_back(both("OACS bit 5, and nvme_core.streams=0", {streams}));
  rows.push_back(both("nvme_core.streams=1 without OACS bit 5", {"driver.streams=true"}));
  rows.push_back(with_identify(
      both("retry delays: CRDT1", {}, {{"@behavior", {"op 09 nsid 0 prp1 c10 16 c11 0"}}}),
      {{1, 0, 128, {10, 0}}}));
  rows.push_back(
      with_identify(each("extended LBA formats: CTRATT bit 15", {}, {},
                         {{"@behavior", {"op 09 nsid 0 prp1 c10 16 c11 0"}},
                          {"@scan",
                           {"op 06 nsid 0 prp1 c10 2 c11 0", "op 06 nsid 1 prp1 c10 3 c11 0",
                            "op 06 nsid 1 prp1 c10 0 c11 0", "op 06 nsid 1 prp1 c10 0 c11 0",
                            "op 06 nsid 1 prp1 c10 5 c11 0"}}}),
                    {{1, 0, 97, {0x80}}}));
  rows.push_back(both("temperatures: CONFIG_NVME_HWMON", {"driver.hwmon=true"},
                      {{"@hwmon", {"op 02 nsid ffffffff prp1 c10 7f0002 c11 0"}}}));
  const std::string security = kController + "management.security=true";
  rows.push_back(both("self-encryption: OACS bit 0 and CONFIG_BLK_SED_OPAL",
                      {security, "driver.opal=true"},
                      {{"@opal", {"op 82 nsid 0 prp1 c10 1000100 c11 800"}}}));
  rows.push_back(both("OACS bit 0 without CONFIG_BLK_SED_OPAL", {security}));
  rows.push_back(both("CONFIG_BLK_SED_OPAL without OACS bit 0", {"driver.opal=true"}));
  rows.push_back(both("host memory buffer: HMPRE",
                      {"device.media.map_cache.bytes=65536", kController + "hmb.hmpre_pages=1024"},
                      {{"@hmb", {"op 09 nsid 0 no prp1 c10 d c11 1"}}}));
  rows.push_back(both("HMMIN above nvme.max_host_mem_size_mb",
                      {"device.media.map_cache.bytes=65536", kController + "hmb.hmpre_pages=1024",
                       kController + "hmb.hmmin_pages=1024", "driver.max_host_mem_size_mb=2"}));
  rows.push_back(both("shadow doorbells: OACS bit 8", {kController + "doorbell_buffer_config=true"},
                      {{"@dbbuf", {"op 7c nsid 0 prp1 c10 0 c11 0"}}}));
  rows.push_back(both(
      "events: OAES bits 8 and 9", {kController + "management.oaes=768"},
      {{"@events", {"op 09 nsid 0 no prp1 c10 b c11 300", "op 0c nsid 0 no prp1 c10 0 c11 0"}}}));
  rows.push_back(both("events that the driver does not want: OAES bit 14",
                      {kController + "management.oaes=16384"}));
  return rows;
}

// --- queues and vectors

Lines create(unsigned qid, unsigned vector, bool interrupts = true) {
  const unsigned size = 0x3ff0000 | qid;
  return {
      "op 05 nsid 0 prp1 c10 " + hex(size) + " c11 " + hex(vector << 16 | (interrupts ? 3u : 1u)),
      "op 01 nsid 0 prp1 c10 " + hex(size) + " c11 " + hex(qid << 16 | 1u)};
}

Slots queues(unsigned wanted, const std::vector<unsigned>& vectors, unsigned polled = 0) {
  Slots slots;
  slots["@count"] = {"op 09 nsid 0 no prp1 c10 7 c11 " + hex((wanted - 1) << 16 | (wanted - 1))};
  for (unsigned qid = 1; qid <= vectors.size(); ++qid) {
    for (const std::string& line : create(qid, vectors[qid - 1], qid + polled <= vectors.size()))
      slots["@queues"].push_back(line);
  }
  for (const char* opcode : {"00", "04"}) {
    for (std::size_t qid = vectors.size(); qid >= 1; --qid)
      slots["@delete"].push_back(fmt::format("op {} nsid 0 no prp1 c10 {:x} c11 0", opcode, qid));
  }
  return slots;
}

std::vector<Row> queue_rows() {
  const std::vector<std::string> four = {"host.cpus=4", "host.smp=true"};
  const auto with = [&four](std::vector<std::string> more) {
    more.insert(more.begin(), four.begin(), four.end());
    return more;
  };
  std::vector<Row> rows;
  rows.push_back(both("four processors", four, queues(4, {1, 2, 3, 4})));
  rows.push_back(both("four processors, two queues granted",
                      with({kController + "max_io_queues=2"}), queues(4, {1, 2})));
  rows.push_back(both("four processors, three vectors", with({"device.endpoint.msix_vectors=3"}),
                      queues(4, {1, 2})));
  rows.push_back(
      both("one vector for all", with({"device.endpoint.msix_vectors=1"}), queues(4, {0})));
  rows.push_back(both("two queues of four are polled",
                      with({"driver.poll_queues=2", kController + "max_io_queues=4"}),
                      queues(6, {1, 2, 0, 0}, 2)));
  return rows;
}

// --- drives of the quirk table

std::vector<Row> persona_rows() {
  std::vector<Row> rows;
  const auto persona = [](const char* name) { return std::string("device.persona=") + name; };
  const Lines one_by_one = {"op 06 nsid 0 prp1 c10 1 c11 0", "op 06 nsid 1 prp1 c10 0 c11 0"};
  Row limited = older("Identify knows CNS 0 and 1 only, of version 1.1: qemu-5845", 0x10100,
                      {persona("qemu-5845")}, {{"@limits", {}}, {"@scan", one_by_one}});
  limited.slots[1]["@scan"].push_back(one_by_one.back());
  rows.push_back(limited);
  rows.push_back(
      older("CNS above 1 are used from 1.2 on: qemu-5845", 0x10200, {persona("qemu-5845")}));
  const Lines no_descriptors = {"op 06 nsid 0 prp1 c10 2 c11 0", "op 06 nsid 1 prp1 c10 0 c11 0"};
  Row without =
      both("no namespace descriptors: sm-2263", {persona("sm-2263")}, {{"@scan", no_descriptors}});
  without.slots[1]["@scan"].push_back(no_descriptors.back());
  rows.push_back(without);
  rows.push_back(both(
      "queues of medium priority: intel-f1a5", {persona("intel-f1a5")},
      {{"@queues",
        {"op 05 nsid 0 prp1 c10 3ff0001 c11 10003", "op 01 nsid 0 prp1 c10 3ff0001 c11 10005"}}}));
  const std::vector<std::string> sleepy = {
      kController +
          "power.states=[{\"non_operational\":true,\"entry_latency_us\":1000,"
          "\"exit_latency_us\":1000,\"max_power_centiwatts\":50}]",
      kController + "power.apst=true"};
  const auto with_sleep = [&sleepy](std::string first) {
    std::vector<std::string> all = sleepy;
    all.push_back(std::move(first));
    return all;
  };
  const Slots on = {{"@apst", {"op 09 nsid 0 prp1 c10 c c11 1"}}};
  const Slots off = {{"@apst", {"op 09 nsid 0 prp1 c10 c c11 0"}}};
  rows.push_back(both("power states are switched off: toshiba-thnsf5",
                      with_sleep(persona("toshiba-thnsf5")), off));
  rows.push_back(each("the same, known to 6.1 only: kioxia-kcd6",
                      with_sleep(persona("kioxia-kcd6")), on, off));
  Slots apple = queues(4, {0});
  apple["@queues"] = {"op 05 nsid 0 prp1 c10 10001 c11 3", "op 01 nsid 0 prp1 c10 10001 c11 10001"};
  rows.push_back(both("one command at a time, one vector: apple-2001",
                      {"host.cpus=4", "host.smp=true", persona("apple-2001")}, apple));
  return rows;
}

}  // namespace

TEST_CASE("each line that depends on a register is there with it and only then, 5.15") {
  check(register_rows(), 0);
}
TEST_CASE("each line that depends on a register is there with it and only then, 6.1") {
  check(register_rows(), 1);
}
TEST_CASE("each line that depends on Identify is there with it and only then, 5.15") {
  check(identify_rows(), 0);
}
TEST_CASE("each line that depends on Identify is there with it and only then, 6.1") {
  check(identify_rows(), 1);
}
TEST_CASE("queues are created as processors, grants and vectors allow, 5.15") {
  check(queue_rows(), 0);
}
TEST_CASE("queues are created as processors, grants and vectors allow, 6.1") {
  check(queue_rows(), 1);
}

TEST_CASE("drives of the quirk table are spared what they do not stand, 5.15") {
  check(persona_rows(), 0);
}
TEST_CASE("drives of the quirk table are spared what they do not stand, 6.1") {
  check(persona_rows(), 1);
}

TEST_CASE("each persona brings up a disk, and is shut down") {
  for (const system_::Persona& persona : system_::personas()) {
    for (unsigned generation = 0; generation < kGenerations; ++generation) {
      INFO(persona.name << ", " << kNames[generation]);
      const std::string setting = "device.persona=" + std::string(persona.name);
      const Lines lines = in_a_process(generation, both("", {setting}));
      REQUIRE_FALSE(lines.empty());
      CHECK(lines.back() == "R 001c 9");
    }
  }
}

}  // namespace nvmesim::test
