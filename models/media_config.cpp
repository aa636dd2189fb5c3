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
    {"dies_per_way", "dies", 1, 256,
     "dies behind one chip enable; divides dies_per_channel. It matters to allocation_order only"},
    {"planes_per_die", "planes", 1, 16, "planes of a die, which work together on one operation"},
    {"blocks_per_plane", "blocks", 0, 1'000'000,
     "blocks of a plane; 0 computes them from capacity and over-provisioning"},
    {"pages_per_block", "pages", 1, 65'536, "pages of a block"},
    {"page_bytes", "bytes", 4096, 1'048'576, "data bytes of a page, a multiple of 4096"},
    {"cell_bits", "bits", 1, 4, "pages of a wordline: 1 SLC, 2 MLC, 3 TLC, 4 QLC"},
    {"one_shot", "", 0, 1, "all pages of a wordline are programmed at once; else page by page"},
    {"program_passes", "passes", 1, 4, "times that data and tPROG of a program are repeated"},
    {"read_ns", "ns", 1, 1'000'000'000,
     "tR; several times are for the page types, cycled over the pages of a block"},
    {"program_ns", "ns", 1, 1'000'000'000,
     "tPROG of one page on every plane (one_shot: one wordline), a pass; several times are cycled "
     "like read_ns"},
    {"erase_ns", "ns", 1, 1'000'000'000, "tBERS of one block on every plane"},
    {"slc_read_ns", "ns", 1, 1'000'000'000, "tR of a block that is used as SLC cache"},
    {"slc_program_ns", "ns", 1, 1'000'000'000, "tPROG of its pages"},
    {"channel_mb_per_s", "MB/s", 1, 100'000,
     "data rate of a channel: the MT/s of its ONFI or Toggle interface, eight bits wide"},
    {"command_ns", "ns", 0, 1'000'000, "command and address cycles of an operation"},
    {"status_ns", "ns", 0, 1'000'000, "status poll at the end of an operation"},
    {"ecc_ns", "ns", 0, 1'000'000, "latency of the decoder, which is pipelined"},
    {"command_on_bus", "", 0, 1,
     "commands of reads and erases and status polls of programs and erases occupy the channel"},
    {"cache_read", "", 0, 1, "read the next page while the last one's data waits for the channel"},
    {"independent_plane_reads", "", 0, 1,
     "reads of pages on different planes of a die run at the same time, each begun by itself"},
    {"cache_program", "", 0, 1, "the next program's data goes in while the last one is programmed"},
    {"die_policy", "", 0, 0, "which job a die serves next: read_first or fifo"},
    {"channel_policy", "", 0, 0,
     "who gets a channel first: fifo, or read_first, where data to be programmed gives way"},
    {"age_limit_us", "us", 1, 10'000'000,
     "a job of a die that waited this long goes first and is not suspended"},
    {"program_suspend", "", 0, 1, "reads of the host suspend programs"},
    {"erase_suspend", "", 0, 1, "reads of the host suspend erases"},
    {"program_suspend_ns", "ns", 0, 1'000'000'000, "until a suspended program lets reads in"},
    {"erase_suspend_ns", "ns", 0, 1'000'000'000, "until a suspended erase lets reads in"},
    {"resume_ns", "ns", 0, 1'000'000'000, "what a program or erase takes longer for each suspend"},
    {"suspend_limit", "suspends", 0, 1'000'000, "suspends of one program or erase at most"},
    {"suspend_gap_ns", "ns", 0, 1'000'000'000, "least time between a resume and the next suspend"},
    {"read_nj", "nJ", 0, 1'000'000'000, "energy of an array read, all planes"},
    {"program_nj", "nJ", 0, 1'000'000'000, "energy of an array program, all planes"},
    {"erase_nj", "nJ", 0, 1'000'000'000, "energy of an array erase, all planes"},
    {"transfer_pj_per_byte", "pJ/byte", 0, 1'000'000, "energy of a byte on a channel"},
});

constexpr auto kReliability = std::to_array<ParamInfo>({
    {"bit_errors", "", 0, 1,
     "reads have bit errors, and retries if there are too many; without, no rate or limit below "
     "means anything"},
    {"initial_cycles", "cycles", 0, 1'000'000, "erases of every block before the simulation"},
    {"initial_retention_days", "days", 0, 36'500, "age of the data that is there at the start"},
    {"rber_ppb", "1e-9", 0, 1'000'000'000, "raw bit error rate of a fresh block"},
    {"wear_rber_ppb_per_kcycle", "1e-9", 0, 1'000'000'000, "added for 1,000 erases"},
    {"retention_rber_ppb_per_day", "1e-9", 0, 1'000'000'000,
     "added for a day, and as much again for each 1,000 erases"},
    {"read_rber_ppb_per_kread", "1e-9", 0, 1'000'000'000, "added for 1,000 reads of a superblock"},
    {"variation_percent", "%", 0, 100, "a read's rate varies by so much, uniformly"},
    {"ecc_limit_ppb", "1e-9", 1, 1'000'000'000, "rate that the hard decoder corrects"},
    {"retry_gain_percent", "%", 1, 99, "what a retry leaves of the rate"},
    {"max_retries", "retries", 0, 100, "read retries before a soft decode"},
    {"limited_retries", "", 0, 100,
     "the same for a read with Limited Retry, which gets neither a soft decode nor a rebuild; "
     "no workload of run and replay sets that bit, a kernel under 'nvmesim linux' does"},
    {"soft_limit_ppb", "1e-9", 1, 1'000'000'000, "rate that the soft decoder corrects"},
    {"soft_decode_ns", "ns", 0, 1'000'000'000, "time of a soft decode, beyond ecc_ns"},
    {"refresh_reads", "reads", 0, 4'000'000'000,
     "a superblock that was read so often is written anew; 0 never"},
    {"refresh_days", "days", 0, 36'500, "data so old is written anew when it is read; 0 never"},
    {"spare_blocks_per_plane", "blocks", 0, 65'536,
     "blocks of a plane that may take the place of bad ones"},
    {"factory_bad_per_million", "1e-6", 0, 1'000'000,
     "share of blocks that are bad from the start"},
    {"program_fail_per_million", "1e-6", 0, 100'000, "share of programs that fail"},
    {"erase_fail_per_million", "1e-6", 0, 100'000, "share of block erases that fail"},
});

constexpr auto kFtl = std::to_array<ParamInfo>({
    {"over_provisioning_percent", "%", 0, 1000, "physical beyond logical capacity"},
    {"mapping_ns", "ns", 0, 1'000'000, "look-up in the mapping table"},
    {"separate_streams", "", 0, 1, "collection has an open superblock of its own"},
    {"host_streams", "streams", 1, 64,
     "open superblocks of the host: one for writes without a stream, the others by stream number; "
     "each is one more spare superblock"},
    {"parity", "", 0, 1, "the last die of each row of programs holds parity (RAIN)"},
    {"allocation", "", 0, 0,
     "which die a program goes to: the next in order; the one that has least to do (dynamic); or "
     "the one that the address of its data names (static), while that has room"},
    {"allocation_order", "", 0, 0,
     "the way of consecutive pages round channels (C), ways (W), dies (D) and planes (P), what "
     "changes first in front: CWDP goes to all channels before it comes to the next way"},
    {"gc_policy", "", 0, 0,
     "which superblock is collected next: greedy, fifo, cost_benefit, d_choices, windowed"},
    {"gc_choices", "superblocks", 1, 1'000'000,
     "superblocks that d_choices draws, or of which windowed chooses"},
    {"gc_start_superblocks", "superblocks", 1, 1000, "collection starts at so few free ones"},
    {"gc_stop_superblocks", "superblocks", 2, 1000, "and ends at so many, more than at its start"},
    {"gc_window_stripes", "stripes", 0, 65'536,
     "units in motion during collection, in stripes; 0 is two per die"},
    {"gc_urgent_superblocks", "superblocks", 1, 1000,
     "collection gives way to reads, keeps pace with writes and lets refresh and wear levelling in "
     "only while more are free"},
    {"gc_yields_to_reads", "", 0, 1, "collection begins no move while reads of the host are open"},
    {"gc_idle_us", "us", 0, 1'000'000'000,
     "collection is only as fast as the host's writes need; when the host has had nothing for the "
     "array for so long, it is as fast as it can be. 0: always so"},
    {"copyback", "", 0, 1,
     "a whole stripe is moved within its die where the order of writing allows, unseen by the ECC; "
     "never with reliability.bit_errors"},
    {"erase_parallel_dies", "dies", 1, 65'536, "dies of a superblock that are erased at a time"},
    {"slc_superblocks", "superblocks", 0, 100'000,
     "superblocks that the host writes with one bit a cell while so many are not in use; they come "
     "out of the over-provisioning"},
    {"slc_dynamic_superblocks", "superblocks", 0, 100'000,
     "so many more while superblocks are free in plenty (dynamic SLC cache); they cost no capacity "
     "and are folded first when space is short"},
    {"slc_fold_start", "superblocks", 1, 100'000, "so many full ones begin to be folded"},
    {"dynamic_wear_levelling", "", 0, 1, "the least worn free superblock is opened first"},
    {"static_wear_gap", "erases", 0, 1'000'000,
     "unchanging data is moved when wear differs by more; 0 never"},
    {"prefill_percent", "%", 0, 100,
     "share of the capacity, from its beginning, that holds (zero) data from the start"},
    {"precondition", "", 0, 0,
     "how it was written: none (once, in order), or sequential or random, over and over"},
    {"deallocate_ns", "ns", 0, 1'000'000'000, "fixed time of a deallocation"},
    {"deallocate_ns_per_mib", "ns/MiB", 0, 1'000'000'000, "and the time for each MiB of its range"},
});

constexpr auto kWriteBuffer = std::to_array<ParamInfo>({
    {"bytes", "bytes", 8192, 1'099'511'627'776,
     "size; at least a program stripe, and one for each of ftl.host_streams, times the dies that "
     "ftl.allocation_order has before the plane (by_address: all)"},
    {"power_loss_protection", "", 0, 1, "buffered data is durable: Flush and FUA cost nothing"},
    {"fixed_ns", "ns", 0, 1'000'000'000, "latency of a write into the buffer"},
    {"per_unit_ns", "ns", 0, 1'000'000'000, "time that each 4 KiB occupies its entry"},
    {"commit_ns", "ns", 0, 1'000'000'000,
     "least time of a write: what the firmware does while the data comes"},
    {"hit_ns", "ns", 0, 1'000'000'000, "time to serve a read from it"},
    {"idle_flush_us", "us", 1, 1'000'000'000,
     "data that does not fill a stripe goes out after so long without a write"},
});

constexpr auto kReadCache = std::to_array<ParamInfo>({
    {"bytes", "bytes", 0, 1'099'511'627'776, "read cache in units of 4 KiB; 0 none"},
    {"hit_ns", "ns", 0, 1'000'000'000, "time to serve a read from it"},
    {"keep_reads", "", 0, 1, "what the host reads is kept; else only what is read ahead"},
    {"ahead_units", "units", 0, 65'536,
     "units that are read ahead of a sequential stream into the cache; 0 none"},
    {"ahead_after", "reads", 1, 1000, "reads in sequence that make a stream"},
    {"ahead_streams", "streams", 1, 1024, "streams that are followed at a time"},
});

constexpr auto kDram = std::to_array<ParamInfo>({
    {"mb_per_s", "MB/s", 0, 1'000'000,
     "bandwidth that write buffer, read cache and mapping table share; 0 no limit"},
    {"map_access_bytes", "bytes", 0, 4096, "what a look-up or an update of the mapping moves"},
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
    {"prefill_percent", "%", 0, 100,
     "share of the capacity, from its beginning, that holds (zero) data from the start"},
    {"tail_ns", "ns", 0, 1'000'000'000, "what these reads take longer"},
});

constexpr auto kMapCache = std::to_array<ParamInfo>({
    {"bytes", "bytes", 0, 1'099'511'627'776,
     "mapping table in the controller, 4 for each 4 KiB of data; 0 = all of it"},
    {"entries_per_page", "entries", 64, 1024,
     "units whose mapping is loaded and kept together; a power of two. A page of the table on the "
     "medium has 1024: with fewer it is read for a part of it, and often to write a part"},
    {"write_back", "", 0, 1,
     "writes, partial deallocations and the collector wait for their pages of the table too, and "
     "what they changed is written when it leaves the controller; without, each page is written "
     "once, with its first unit, and updates cost nothing"},
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

std::span<const ParamInfo> ReliabilityConfig::params() {
  return kReliability;
}

std::span<const ParamInfo> FtlConfig::params() {
  return kFtl;
}

std::span<const ParamInfo> WriteBufferConfig::params() {
  return kWriteBuffer;
}

std::span<const ParamInfo> ReadCacheConfig::params() {
  return kReadCache;
}

std::span<const ParamInfo> DramConfig::params() {
  return kDram;
}

std::span<const ParamInfo> XpointConfig::params() {
  return kXpoint;
}

}  // namespace nvmesim::models
