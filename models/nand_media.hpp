// A drive's medium made of NAND: write buffer, FTL and array behind the Media seam. This class only
// sorts commands; the parts do the work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "models/cache/nand_table.hpp"
#include "models/cache/write_buffer.hpp"
#include "models/delivery.hpp"
#include "models/ftl/ftl.hpp"
#include "models/media.hpp"
#include "models/media_config.hpp"
#include "models/media_factory.hpp"
#include "models/media_points.hpp"
#include "models/nand/nand.hpp"
#include "models/read_path.hpp"
#include "models/store/data_store.hpp"

namespace nvmesim::models {

class NandMedia : public Media {
 public:
  NandMedia(const MediaConfig& config, base::Scheduler& scheduler, std::uint64_t seed,
            base::StatisticsRegistry& statistics, const std::string& name, ConstructionOrder order);

  void start(MediaCommand& command) override;
  void write_arrived(MediaPart& part) override { buffer_.arrived(part); }
  void cancel(MediaCommand& command) override;
  std::uint64_t capacity_units() const override { return geometry_.host_units; }
  std::uint64_t used_units() const override { return ftl_.mapped_units() + buffer_.fresh_units(); }
  bool volatile_cache() const override { return buffer_.is_volatile(); }
  bool keeps_spare() const override { return store_.keep_spare(); }
  void quiesce(base::Callback done) override { buffer_.quiesce(done); }
  void power_cut() override;
  void power_on() override;
  std::string save() const override;
  void load(std::string_view file, std::string_view source) override;
  MediaPoints& points() override { return points_; }
  // The pages of the mapping table; only with map_cache.
  NandTable& table() { return *table_; }

  const Ftl& ftl() const { return ftl_; }
  const Nand& nand() const { return nand_; }
  const Reliability& reliability() const { return reliability_; }
  const Geometry& geometry() const { return geometry_; }
  const DataStore& store() const { return store_; }
  const WriteBuffer& buffer() const { return buffer_; }

 private:
  void unmap_whole_units(const MediaCommand& command);
  base::Time deallocate_time(std::uint64_t bytes) const;

  base::Scheduler& scheduler_;
  base::Time deallocate_;
  base::Pace deallocate_pace_;
  MediaPoints points_;
  Geometry geometry_;
  Delivery delivery_;
  Dram dram_;
  DataStore store_;
  Nand nand_;
  Reliability reliability_;
  Ftl ftl_;
  ReadPath reads_;
  WriteBuffer buffer_;
  std::unique_ptr<NandTable> table_;
};

}  // namespace nvmesim::models
