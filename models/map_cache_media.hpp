// A medium behind a cache of its mapping table (MapCache): reads (and with write_back writes and
// deallocations) whose mapping is not cached wait before they go on to the medium.
#pragma once

#include <memory>
#include <string>

#include "models/ftl/map_cache.hpp"
#include "models/media.hpp"

namespace nvmesim::models {

class MapCacheMedia : public Media {
 public:
  // `pages` are those of `inner`.
  MapCacheMedia(const MapCacheConfig& config, std::unique_ptr<Media> inner, TablePages& pages,
                base::Scheduler& scheduler, base::StatisticsRegistry& statistics,
                const std::string& name)
      : inner_(std::move(inner)),
        scheduler_(scheduler),
        cache_(config, inner_->capacity_units(), pages, scheduler, statistics, name) {}

  void start(MediaCommand& command) override;
  void write_arrived(MediaPart& part) override { inner_->write_arrived(part); }
  void cancel(MediaCommand& command) override;
  std::uint64_t capacity_units() const override { return inner_->capacity_units(); }
  std::uint64_t used_units() const override { return inner_->used_units(); }
  bool volatile_cache() const override { return inner_->volatile_cache(); }
  bool keeps_spare() const override { return inner_->keeps_spare(); }
  BorrowedMemoryUser* memory_user() override { return &cache_; }
  void quiesce(base::Callback done) override { inner_->quiesce(done); }
  void power_cut() override {
    inner_->power_cut();
    cache_.power_cut();
  }
  void power_on() override { inner_->power_on(); }
  // What had changed in the cache need not be saved: a state is saved with the power off, when
  // that counts as rebuilt.
  std::string save() const override { return inner_->save(); }
  void load(std::string_view file, std::string_view source) override { inner_->load(file, source); }
  MediaPoints& points() override { return inner_->points(); }

  MapCache& cache() { return cache_; }
  const MapCache& cache() const { return cache_; }
  Media& inner() { return *inner_; }

 private:
  bool may_start(const MediaCommand& command, std::uint64_t token);
  void go_on(MediaCommand& command);
  void mapped(std::uint64_t command);

  std::unique_ptr<Media> inner_;
  base::Scheduler& scheduler_;
  MapCache cache_;
};

}  // namespace nvmesim::models
