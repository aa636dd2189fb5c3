#include "tests/protocol/support/test_host.hpp"

#include <algorithm>

#include "tests/support/catch.hpp"

namespace nvmesim::test {

device::ControllerConfig small_config() {
  device::ControllerConfig config;
  config.ready_latency_us = 10;
  config.disable_latency_us = 2;
  config.shutdown_latency_us = 3;
  config.max_io_queues = 4;
  config.vectors = 5;
  config.mqes = 255;
  config.pipeline.admin_latency_ns = 100;
  return config;
}

namespace {
bool has_metadata(const device::ControllerConfig& config) {
  return std::any_of(config.namespaces.begin(), config.namespaces.end(),
                     [](const auto& space) { return space.metadata_bytes != 0; });
}
}  // namespace

device::ControllerConfig full_config() {
  device::ControllerConfig config = small_config();
  config.nssrs = true;
  config.lpa = 0x3F;
  config.ocp_log = true;
  config.oncs |= spec::kOncsTimestamp;
  config.registers.revision = device::Revision::v2_0;
  config.management.namespaces = true;
  config.management.max_namespaces = 8;
  config.management.format = true;
  config.management.format_ms = 2;
  config.management.endurance_group = true;
  config.management.ana = true;
  config.management.oaes = 0x4F00;
  config.management.keep_alive_granularity_100ms = 1;
  config.management.security = true;
  config.management.streams = 8;
  config.firmware.update = true;
  config.firmware.slots = 3;
  config.firmware.without_reset = true;
  config.firmware.activation_ms = 3;
  config.self_test.offered = true;
  config.self_test.short_ms = 10;
  config.self_test.extended_ms = 100;
  config.sanitize.sanicap = 7;
  config.sanitize.crypto_ms = 1;
  config.sanitize.block_ms = 4;
  config.sanitize.overwrite_ms = 5;
  config.power.states = {
      {900, false, 10, 10, 400}, {100, true, 500, 700, 0}, {5, true, 900, 4'000, 0}};
  config.power.apst = true;
  config.thermal.model = true;
  config.thermal.time_constant_ms = 1'000;
  config.thermal.sample_ms = 1;
  config.thermal.host_controlled = true;
  config.namespaces = {{.blocks = 8'000, .shared = true}, {.blocks = 4'000}};
  return config;
}

Bench::Bench(device::ControllerConfig wanted, bool spare, const Prepare& prepare)
    : own_scheduler(std::make_unique<base::Scheduler>("scheduler")),
      scheduler(*own_scheduler),
      port(scheduler, wanted.vectors),
      own_media(std::make_unique<FakeMedia>(scheduler, kMediaUnits, spare || has_metadata(wanted))),
      media(*own_media),
      log([this](base::LogLevel, base::Time, std::string_view,
                 std::string_view text) { lines.emplace_back(text); },
          base::LogLevel::kDebug),
      config(wanted) {
  if (prepare) prepare(media, scheduler);
  build(nullptr);
}

Bench::Bench(device::ControllerConfig wanted, Bench& sibling)
    : scheduler(sibling.scheduler),
      port(scheduler, wanted.vectors),
      media(sibling.media),
      log([this](base::LogLevel, base::Time, std::string_view,
                 std::string_view text) { lines.emplace_back(text); },
          base::LogLevel::kDebug),
      config(wanted) {
  build(sibling.controller->core().shared_subsystem);
}

void Bench::build(std::shared_ptr<device::Subsystem> subsystem) {
  controller = std::make_unique<device::Controller>(config, scheduler, port, media, stages, log,
                                                    true, std::move(subsystem));
  std::fill_n(port.at(0), FakePort::kMemoryBytes, std::byte{0xA5});
}

void Bench::write_shadow(std::uint32_t doorbell, std::uint32_t value) {
  if (shadow != 0) port.store(shadow + (std::uint64_t{doorbell} << (2 + config.dstrd)), value);
}

void Bench::run(base::Time duration) {
  scheduler.simulate(scheduler.now() + duration);
}

std::uint32_t Bench::read32(std::uint32_t offset) {
  std::uint32_t value = 0;
  controller->bar_read(0, offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

std::uint64_t Bench::read64(std::uint32_t offset) {
  std::uint64_t value = 0;
  controller->bar_read(0, offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

void Bench::write32(std::uint32_t offset, std::uint32_t value) {
  controller->bar_write(0, offset, std::as_bytes(std::span(&value, 1)));
}

bool Bench::enable(std::uint32_t entries) {
  queues_.clear();
  seen_.clear();
  Queue& queue = queues_[0];
  queue.size = queue.cq_size = entries;
  queue.sq = kQueueMemory;
  queue.cq = kQueueMemory + kQueueStride / 2;
  std::fill_n(port.at(queue.cq), entries * sizeof(spec::CompletionEntry), std::byte{0});
  write32(spec::kRegAqa, (entries - 1) | ((entries - 1) << 16));
  write32(spec::kRegAsq, static_cast<std::uint32_t>(queue.sq));
  write32(spec::kRegAsq + 4, 0);
  write32(spec::kRegAcq, static_cast<std::uint32_t>(queue.cq));
  write32(spec::kRegAcq + 4, 0);
  write_shadow(0, 0);
  write_shadow(1, 0);
  write32(spec::kRegCc, enable_cc);
  for (int i = 0; i < 100 && !csts().rdy() && !csts().cfs(); ++i) {
    run(std::chrono::microseconds(config.ready_latency_us / 10 + 1));
  }
  return csts().rdy() && !csts().cfs();
}

void Bench::disable() {
  write32(spec::kRegCc, 0x0046'0000);
  run(std::chrono::microseconds(config.disable_latency_us + 1));
}

spec::Status Bench::create_cq(std::uint16_t qid, std::uint32_t entries,
                              std::uint32_t flags_and_vector) {
  Queue& queue = queues_[qid];
  queue.cq = kQueueMemory + qid * kQueueStride + kQueueStride / 2;
  auto entry = admin(spec::AdminOpcode::kCreateIoCq, qid | ((entries - 1) << 16), flags_and_vector);
  entry.prp1 = queue.cq;
  write_shadow(2u * qid + 1, 0);
  const spec::Status result = status(0, entry);
  if (result == spec::Status::kSuccess) {
    queue.cq_size = entries;
    queue.head = 0;
    queue.phase = true;
    std::fill_n(port.at(queue.cq), entries * sizeof(spec::CompletionEntry), std::byte{0});
  }
  return result;
}

spec::Status Bench::create_sq(std::uint16_t qid, std::uint32_t entries, std::uint16_t cqid,
                              unsigned priority) {
  Queue& queue = queues_[qid];
  queue.sq = kQueueMemory + qid * kQueueStride;
  queue.cqid = cqid;
  auto entry = admin(spec::AdminOpcode::kCreateIoSq, qid | ((entries - 1) << 16),
                     1u | (priority << 1) | (std::uint32_t{cqid} << 16));
  entry.prp1 = queue.sq;
  write_shadow(2u * qid, 0);
  const spec::Status result = status(0, entry);
  if (result == spec::Status::kSuccess) {
    queue.size = entries;
    queue.tail = 0;
  }
  return result;
}

void Bench::create_pair(std::uint16_t qid, std::uint32_t entries, bool interrupts) {
  REQUIRE(create_cq(qid, entries, (interrupts ? 3u : 1u) | (std::uint32_t{qid} << 16)) ==
          spec::Status::kSuccess);
  REQUIRE(create_sq(qid, entries, qid) == spec::Status::kSuccess);
}

std::uint16_t Bench::put(std::uint16_t qid, spec::SubmissionEntry entry) {
  Queue& queue = queues_[qid];
  entry.cid = next_cid_++;
  port.store(queue.sq + queue.tail * sizeof entry, entry);
  queue.tail = (queue.tail + 1) % queue.size;
  return entry.cid;
}

void Bench::ring(std::uint16_t qid) {
  write_shadow(2u * qid, queues_[qid].tail);
  write32(spec::sq_tail_doorbell(qid, config.dstrd), queues_[qid].tail);
}

std::uint16_t Bench::submit(std::uint16_t qid, const spec::SubmissionEntry& entry) {
  const std::uint16_t cid = put(qid, entry);
  ring(qid);
  return cid;
}

std::vector<Completion> Bench::reap(std::uint16_t cqid, bool ring_head) {
  Queue& queue = queues_[cqid];
  std::vector<Completion> found;
  while (found.size() < queue.cq_size) {
    const auto entry =
        port.load<spec::CompletionEntry>(queue.cq + queue.head * sizeof(spec::CompletionEntry));
    if (spec::phase_of(entry.status) != queue.phase) break;
    found.push_back({entry, scheduler.now()});
    if (++queue.head == queue.cq_size) {
      queue.head = 0;
      queue.phase = !queue.phase;
    }
  }
  if (ring_head && !found.empty()) {
    write_shadow(2u * cqid + 1, queue.head);
    write32(spec::cq_head_doorbell(cqid, config.dstrd), queue.head);
  }
  return found;
}

void Bench::collect(std::uint16_t cqid) {
  for (const Completion& completion : reap(cqid)) seen_[cqid].push_back(completion);
}

std::optional<Completion> Bench::wait(std::uint16_t qid, std::uint16_t cid, base::Time limit) {
  const std::uint16_t cqid = qid == 0 ? std::uint16_t{0} : queues_[qid].cqid;
  const base::Time deadline = scheduler.now() + limit;
  while (true) {
    collect(cqid);
    auto& seen = seen_[cqid];
    const auto found = std::find_if(seen.begin(), seen.end(), [&](const Completion& candidate) {
      return candidate.entry.cid == cid && candidate.entry.sqid == qid;
    });
    if (found != seen.end()) {
      const Completion completion = *found;
      seen.erase(found);
      return completion;
    }
    if (scheduler.now() >= deadline) return std::nullopt;
    run(1us);
  }
}

Completion Bench::run_command(std::uint16_t qid, const spec::SubmissionEntry& entry,
                              base::Time limit) {
  const auto completion = wait(qid, submit(qid, entry), limit);
  REQUIRE(completion.has_value());
  return *completion;
}

bool Bench::alive() {
  const auto completion = wait(0, submit(0, identify(1, 0, kData + 0x20000)));
  return completion.has_value() && completion->status() == spec::Status::kSuccess;
}

bool Bench::idle() const {
  const device::Core& core = controller->core();
  return core.commands.in_use() == core.events.outstanding() && media.running() == 0 &&
         core.fetcher.slots_busy() == 0 && core.health.io_open() == 0 &&
         media.buffers_in_use() == 0;
}

std::uint64_t Bench::fingerprint() const {
  std::uint64_t hash = media.fingerprint();
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100'0000'01B3; };
  for (std::uint64_t address = 0; address < kQueueMemory; address += 8) {
    mix(port.load<std::uint64_t>(address));
  }
  const device::Core& core = controller->core();
  for (std::uint32_t id = 0; id <= core.queues.max_id(); ++id) {
    const device::SubmissionQueue* sq = core.queues.sq(id);
    const device::CompletionQueue* cq = core.queues.cq(id);
    mix(sq == nullptr ? 0 : sq->base + sq->size + sq->cqid);
    mix(cq == nullptr ? 0 : cq->base + cq->size + cq->vector + cq->users * 65'536u);
  }
  for (std::uint32_t id = 1; id <= 0x0B; ++id) {
    mix(core.features.value(static_cast<spec::FeatureId>(id)));
  }
  const device::NamespaceSet& spaces = core.subsystem.namespaces;
  for (std::uint32_t id = 1; id <= spaces.limit(); ++id) {
    const device::Namespace& space = spaces.slot(id);
    mix(space.first_byte + space.units + space.blocks * 3 + space.attached * 5 +
        space.format.block_shift);
  }
  mix(core.subsystem.firmware.active() + core.subsystem.firmware.next() * 8);
  mix(core.self_test.running() + core.subsystem.sanitize.running() * 2u + core.power.state() * 4);
  mix(core.health.reads_counter() + core.health.writes_counter());
  return hash;
}

void Bench::check_rejected(std::uint16_t qid, const spec::SubmissionEntry& entry,
                           spec::Status expected) {
  const std::uint64_t before = fingerprint();
  const std::uint64_t errors = controller->core().errors.count();
  lines.clear();
  const Completion completion = run_command(qid, entry);
  CHECK(spec::status_name(completion.status()) == spec::status_name(expected));
  CHECK(completion.entry.dw0 == 0);
  CHECK(fingerprint() == before);
  CHECK(controller->core().errors.count() == errors + 1);
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("NVMe 1.4 section") != std::string::npos);
  CHECK(lines[0].find(spec::status_name(expected)) != std::string::npos);
  CHECK(idle());
}

spec::SubmissionEntry admin(spec::AdminOpcode opcode, std::uint32_t cdw10, std::uint32_t cdw11) {
  spec::SubmissionEntry entry{};
  entry.opc = static_cast<std::uint8_t>(opcode);
  entry.cdw10 = cdw10;
  entry.cdw11 = cdw11;
  return entry;
}

spec::SubmissionEntry io(spec::NvmOpcode opcode, std::uint64_t lba, std::uint32_t blocks,
                         std::uint64_t prp1, std::uint64_t prp2) {
  spec::SubmissionEntry entry{};
  entry.opc = static_cast<std::uint8_t>(opcode);
  entry.nsid = 1;
  entry.prp1 = prp1;
  entry.prp2 = prp2;
  entry.cdw10 = static_cast<std::uint32_t>(lba);
  entry.cdw11 = static_cast<std::uint32_t>(lba >> 32);
  entry.cdw12 = blocks - 1;
  return entry;
}

spec::SubmissionEntry identify(std::uint32_t cns, std::uint32_t nsid, std::uint64_t prp1) {
  auto entry = admin(spec::AdminOpcode::kIdentify, cns);
  entry.nsid = nsid;
  entry.prp1 = prp1;
  return entry;
}

spec::SubmissionEntry get_log(spec::LogPageId page, std::uint32_t bytes, std::uint64_t offset,
                              std::uint64_t prp1, bool retain) {
  const std::uint32_t dwords = bytes / 4 - 1;
  auto entry =
      admin(spec::AdminOpcode::kGetLogPage,
            static_cast<std::uint32_t>(page) | (retain ? 1u << 15 : 0) | ((dwords & 0xFFFF) << 16),
            dwords >> 16);
  entry.cdw12 = static_cast<std::uint32_t>(offset);
  entry.cdw13 = static_cast<std::uint32_t>(offset >> 32);
  entry.nsid = spec::kNsidAll;
  entry.prp1 = prp1;
  return entry;
}

}  // namespace nvmesim::test
