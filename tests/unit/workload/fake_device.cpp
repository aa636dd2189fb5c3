#include "fake_device.hpp"

#include <algorithm>
#include <cstring>

#include "sim/base/assert.hpp"

namespace nvmesim::test {

FakeDevice::FakeDevice(base::Scheduler& scheduler, const FakeConfig& config)
    : scheduler_(scheduler), config_(config), random_(7, "fake") {
  limits_.logical_block_bytes = config.logical_block_bytes;
  limits_.max_discard_sectors = 1 << 22;
  limits_.max_write_zeroes_sectors = 1 << 22;
  limits_.write_cache = config.write_cache;
  limits_.queue_depth = config.tags;
}

base::Time FakeDevice::draw(base::Time most) {
  return base::Time{
      static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(most.count()) + 1))};
}

void FakeDevice::submit(host::Bio& bio) {
  NVMESIM_ASSERT(bio.sector + bio.sectors <= config_.capacity_sectors, "beyond the fake device");
  NVMESIM_ASSERT(bio.sectors % (limits_.logical_block_bytes / 512) == 0, "half a logical block");
  const bool data = bio.op == host::BioOp::kRead || bio.op == host::BioOp::kWrite;
  NVMESIM_ASSERT(!data || bio.buffer.bytes >= bio.sectors * 512, "a buffer that is too small");
  NVMESIM_ASSERT(bio.cpu.value() < config_.cpus, "no such CPU");
  Job job;
  job.bio = &bio;
  job.number = jobs_.size() + 1;
  job.open = true;
  if (bio.op == host::BioOp::kWrite) job.write = ++writes_;
  if (bio.op == host::BioOp::kRead) job.read = ++reads_;
  open_max_ = std::max(open_max_, ++open_);
  jobs_.push_back(job);
  seen_.push_back({bio.op, bio.sector, bio.sectors, scheduler_.now(), bio.cpu.value(), bio.fua,
                   bio.preflush, bio.plugged, bio.engine_cost, open_});
  bio.stages.open(scheduler_.now());
  bio.submit_cost = bio.engine_cost;
  base::Time from = scheduler_.now();
  if (config_.one_processor) {
    from = std::max(from, processor_until_);
    processor_until_ = from + bio.engine_cost;
  }
  scheduler_.at<&FakeDevice::arrived>(from + bio.engine_cost, this, job.number - 1);
}

void FakeDevice::arrived(std::uint64_t job) {
  host::Bio& bio = *jobs_[job].bio;
  bio.stages.stamp(base::Stage::kSubmit, scheduler_.now());
  if (bio.op == host::BioOp::kFlush && !config_.write_cache) {
    bio.ended_in_block_layer = true;
    jobs_[job].open = false;
    --open_;
    bio.done();
    return;
  }
  if (config_.tags != 0 && busy_ == config_.tags) {
    waiting_.push_back(job);
  } else {
    begin(job);
  }
}

void FakeDevice::begin(std::uint64_t job) {
  ++busy_;
  jobs_[job].bio->stages.stamp(base::Stage::kTagWait, scheduler_.now());
  const base::Time time = config_.latency + draw(config_.jitter);
  if (jobs_[job].bio->sectors > 0) {
    scheduler_.after<&FakeDevice::move_data>(draw(time), this, job);
  }
  if (jobs_[job].number == config_.lose_request) return;
  scheduler_.at<&FakeDevice::end>(scheduler_.now() + time, this, job, base::Phase::kLate);
}

void FakeDevice::end(std::uint64_t job) {
  Job& ended = jobs_[job];
  host::Bio& bio = *ended.bio;
  bio.stages.stamp(base::Stage::kArray, scheduler_.now());
  const bool failed = (ended.write != 0 && ended.write == config_.fail_write) ||
                      (ended.read != 0 && ended.read == config_.fail_read);
  bio.status = failed ? host::BlockStatus::kMedium : host::BlockStatus::kOk;
  ended.open = false;
  --open_;
  --busy_;
  if (!waiting_.empty()) {
    const std::uint64_t next = waiting_.front();
    waiting_.pop_front();
    begin(next);
  }
  bio.done();
}

void FakeDevice::move_data(std::uint64_t job) {
  if (jobs_[job].bio->op == host::BioOp::kRead) {
    read(jobs_[job]);
  } else {
    write(jobs_[job]);
  }
}

void FakeDevice::write(const Job& job) {
  const host::Bio& bio = *job.bio;
  if (job.write != 0 && job.write == config_.drop_write) return;
  std::uint32_t sectors = bio.sectors;
  std::uint64_t target = bio.sector;
  if (job.write != 0 && job.write == config_.fail_write) sectors /= 2;
  if (job.write != 0 && job.write == config_.misdirect_write) {
    target = (target + sectors) % (config_.capacity_sectors - sectors);
  }
  for (std::uint32_t i = 0; i < sectors; ++i) {
    const Sector* old = now_.get(target + i);
    if (old != nullptr && config_.stale_read != 0) before_.put(target + i, old);
    if (bio.op != host::BioOp::kWrite) {
      now_.put(target + i, nullptr);
      continue;
    }
    Sector sector;
    std::memcpy(sector.data(), memory(bio.buffer, i * 512), sector.size());
    if (job.write == config_.flip_in_write && i == sectors / 2) sector[300] ^= std::byte{0x10};
    now_.put(target + i, &sector);
  }
}

void FakeDevice::Store::put(std::uint64_t number, const Sector* content) {
  auto& place = places[number];
  if (content == nullptr) {
    place = 0;
    return;
  }
  if (place == 0) {
    place = static_cast<std::uint32_t>(sectors.size());
    sectors.emplace_back();
  }
  sectors[place] = *content;
}

const Sector* FakeDevice::Store::get(std::uint64_t number) const {
  const auto found = places.find(number);
  return found == places.end() ? nullptr : &sectors[found->second];
}

void FakeDevice::read(const Job& job) {
  const host::Bio& bio = *job.bio;
  for (std::uint32_t i = 0; i < bio.sectors; ++i) {
    const Store& store = job.read == config_.stale_read ? before_ : now_;
    const Sector* found = store.get(bio.sector + i);
    std::byte* to = memory(bio.buffer, i * 512);
    if (found != nullptr) {
      std::memcpy(to, found->data(), host::kSectorBytes);
    } else {
      std::memset(to, config_.new_drive ? 0 : 0xee, host::kSectorBytes);
    }
  }
}

host::IoBuffer FakeDevice::allocate_buffer(std::uint32_t bytes) {
  const std::uint64_t address =
      buffers_.empty() ? 4096 : buffers_.rbegin()->first + (std::uint64_t{1} << 32);
  buffers_[address].resize(bytes);
  return {address, bytes};
}

void FakeDevice::free_buffer(const host::IoBuffer& buffer) {
  buffers_.erase(buffer.address);
}

std::byte* FakeDevice::memory(const host::IoBuffer& buffer, std::uint32_t offset) {
  return buffers_.at(buffer.address).data() + offset;
}

void FakeDevice::write_buffer(const host::IoBuffer& buffer, std::uint32_t offset,
                              std::span<const std::byte> bytes) {
  auto& data = buffers_.at(buffer.address);
  NVMESIM_ASSERT(offset + bytes.size() <= data.size(), "beyond a buffer");
  std::memcpy(data.data() + offset, bytes.data(), bytes.size());
}

void FakeDevice::read_buffer(const host::IoBuffer& buffer, std::uint32_t offset,
                             std::span<std::byte> bytes) const {
  const auto& data = buffers_.at(buffer.address);
  NVMESIM_ASSERT(offset + bytes.size() <= data.size(), "beyond a buffer");
  std::memcpy(bytes.data(), data.data() + offset, bytes.size());
}

void FakeDevice::for_each_open(void (*visit)(void* context, const host::OpenBio& open),
                               void* context) const {
  for (const Job& job : jobs_) {
    if (!job.open) continue;
    visit(context, {job.bio, job.bio->stages.start(), "in the fake drive", 1,
                    static_cast<std::uint16_t>(job.number)});
  }
}

}  // namespace nvmesim::test
