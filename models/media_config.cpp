#include "models/media_config.hpp"

#include <array>

namespace nvmesim::models {
namespace {

using base::ParamInfo;

constexpr auto kMedia = std::to_array<ParamInfo>({
    {"kind", "", 0, 0, "what the data is stored on"},
    {"capacity_bytes", "bytes", 4096, 17'592'186'044'416, "logical capacity, in whole 4 KiB units"},
    {"keep_data", "", 0, 1, "keep the bytes that are written; without, reads return zeroes"},
    {"keep_metadata", "", 0, 1,
     "room for 64 bytes of metadata with each 512 bytes of data, for formats with metadata"},
});

constexpr auto kNand = std::to_array<ParamInfo>({
    {"channels", "channels", 1, 256, "channels between the controller and the dies"},
    {"dies_per_channel", "dies", 1, 256, "dies on each channel"},
    {"planes_per_die", "planes", 1, 16, "planes of a die, which work together on one operation"},
    {"blocks_per_plane", "blocks", 0, 1'000'000,
     "blocks of a plane; 0 computes them from capacity and over-provisioning"},
    {"pages_per_block", "pages", 1, 65'536, "pages of a block"},
    {"page_bytes", "bytes", 4096, 1'048'576, "data bytes of a page, a multiple of 4096"},
    {"read_ns", "ns", 1, 1'000'000'000,
     "tR; several times are for the page types, cycled over the pages of a block"},
    {"program_ns", "ns", 1, 1'000'000'000, "tPROG of one page on every plane"},
    {"erase_ns", "ns", 1, 1'000'000'000, "tBERS of one block on every plane"},
    {"channel_mb_per_s", "MB/s", 1, 100'000, "data rate of a channel"},
    {"command_ns", "ns", 0, 1'000'000, "command and address cycles of an operation"},
    {"status_ns", "ns", 0, 1'000'000, "status poll at the end of an operation"},
    {"ecc_ns", "ns", 0, 1'000'000, "latency of the decoder, which is pipelined"},
    {"cache_read", "", 0, 1, "read the next page while the last one's data waits for the channel"},
    {"die_policy", "", 0, 0, "which job a die serves next: read_first or fifo"},
    {"age_limit_us", "us", 1, 10'000'000, "a job of a die that waited this long goes first"},
});

constexpr auto kFtl = std::to_array<ParamInfo>({
    {"over_provisioning_percent", "%", 0, 1000, "physical beyond logical capacity"},
    {"mapping_ns", "ns", 0, 1'000'000, "look-up in the mapping table"},
    {"gc_policy", "", 0, 0, "which superblock is collected next: greedy or fifo"},
    {"gc_start_superblocks", "superblocks", 1, 1000, "collection starts at so few free ones"},
    {"gc_stop_superblocks", "superblocks", 2, 1000, "and ends at so many, more than at its start"},
    {"gc_window_stripes", "stripes", 0, 65'536,
     "units in motion during collection, in stripes; 0 is two per die"},
    {"erase_parallel_dies", "dies", 1, 65'536, "dies of a superblock that are erased at a time"},
    {"prefill_percent", "%", 0, 100,
     "share of the capacity, from its beginning, that holds (zero) data from the start"},
    {"deallocate_ns", "ns", 0, 1'000'000'000, "fixed time of a deallocation"},
    {"deallocate_ns_per_mib", "ns/MiB", 0, 1'000'000'000, "and the time for each MiB of its range"},
});

constexpr auto kWriteBuffer = std::to_array<ParamInfo>({
    {"bytes", "bytes", 8192, 1'099'511'627'776, "size; at least two program stripes"},
    {"power_loss_protection", "", 0, 1, "buffered data is durable: Flush and FUA cost nothing"},
    {"fixed_ns", "ns", 0, 1'000'000'000, "latency of a write into the buffer"},
    {"per_unit_ns", "ns", 0, 1'000'000'000, "time that each 4 KiB occupies its entry"},
    {"hit_ns", "ns", 0, 1'000'000'000, "time to serve a read from it"},
    {"idle_flush_us", "us", 1, 1'000'000'000,
     "data that does not fill a stripe goes out after so long without a write"},
});

constexpr auto kXpoint = std::to_array<ParamInfo>({
    {"channels", "channels", 1, 256, "channels between the controller and the dies"},
    {"dies_per_channel", "dies", 1, 256, "dies on each channel"},
    {"mapping_ns", "ns", 0, 1'000'000, "finding the place of a unit"},
    {"read_ns", "ns", 1, 1'000'000'000, "array read of 4 KiB"},
    {"write_ns", "ns", 1, 1'000'000'000, "array write of 4 KiB, in place"},
    {"read_mb_per_s", "MB/s", 1, 100'000, "data rate of a channel from the dies"},
    {"write_mb_per_s", "MB/s", 1, 100'000, "data rate of a channel to the dies"},
    {"command_ns", "ns", 0, 1'000'000, "command and address cycles of an access"},
    {"ecc_ns", "ns", 0, 1'000'000, "latency of the decoder, which is pipelined"},
    {"write_slots", "units", 1, 1'000'000, "writes of 4 KiB that may be on their way"},
    {"jitter_ns", "ns", 0, 1'000'000'000, "a read takes up to this much longer, uniformly"},
    {"tail_per_million", "1e-6", 0, 1'000'000, "share of reads that take tail_ns longer"},
    {"tail_ns", "ns", 0, 1'000'000'000, "what these reads take longer"},
});

constexpr auto kMapCache = std::to_array<ParamInfo>({
    {"bytes", "bytes", 0, 1'099'511'627'776,
     "mapping table in the controller, 4096 for 4 MiB of data; 0 = all of it"},
    {"read_ns", "ns", 1, 1'000'000'000, "reading 4096 bytes of the table from the NAND"},
    {"reads", "reads", 1, 4096, "such reads at a time"},
});

}  // namespace

std::span<const ParamInfo> MapCacheConfig::params() {
  return kMapCache;
}
std::span<const ParamInfo> MediaConfig::params() {
  return kMedia;
}
std::span<const ParamInfo> NandConfig::params() {
  return kNand;
}
std::span<const ParamInfo> FtlConfig::params() {
  return kFtl;
}
std::span<const ParamInfo> WriteBufferConfig::params() {
  return kWriteBuffer;
}
std::span<const ParamInfo> XpointConfig::params() {
  return kXpoint;
}

}  // namespace nvmesim::models
