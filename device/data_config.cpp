#include "device/data_config.hpp"

namespace nvmesim::device {

std::span<const base::ParamInfo> CmbConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"pages", "4 KiB", 0, 0xF'FFFF, "CMBSZ: size of the controller memory buffer; 0 = none"},
      {"bar", "", 2, 4, "CMBLOC.BIR: 2 or 4"},
      {"submission_queues", "", 0, 1, "CMBSZ.SQS"},
      {"completion_queues", "", 0, 1, "CMBSZ.CQS"},
      {"lists", "", 0, 1, "CMBSZ.LISTS: PRP lists and SGL segments"},
      {"read_data", "", 0, 1, "CMBSZ.RDS: data and metadata from the controller"},
      {"write_data", "", 0, 1, "CMBSZ.WDS: data and metadata to the controller"},
      {"access_ns", "ns", 0, 1'000'000, "latency of the controller's own access to CMB or PMR"},
      {"mb_per_s", "MB/s", 1, 1'000'000, "rate of the controller's own accesses"},
  };
  return kParams;
}

std::span<const base::ParamInfo> PmrConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"pages", "4 KiB", 0, 0xF'FFFF, "size of the persistent memory region; 0 = none"},
      {"bar", "", 2, 4, "PMRCAP.BIR: 2 or 4"},
      {"ready_latency_us", "us", 0, 10'000'000, "from PMRCTL.EN changed to PMRSTS.NRDY changed"},
      {"timeout_500ms", "500 ms", 1, 255, "PMRCAP.PMRTO"},
  };
  return kParams;
}

std::span<const base::ParamInfo> HmbConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"hmpre_pages", "4 KiB", 0, 0xFFFF'FFFF, "Identify HMPRE: preferred size; 0 = not supported"},
      {"hmmin_pages", "4 KiB", 0, 0xFFFF'FFFF, "Identify HMMIN: least size"},
      {"hmminds_pages", "4 KiB", 0, 0xFFFF'FFFF, "Identify HMMINDS: least descriptor size"},
      {"hmmaxd", "entries", 0, 0xFFFF, "Identify HMMAXD: most descriptors; 0 = no limit"},
  };
  return kParams;
}

std::span<const base::ParamInfo> BlockLimitsConfig::params() {
  static constexpr base::ParamInfo kParams[] = {
      {"mssrl", "blocks", 1, 0xFFFF, "Identify MSSRL: longest source range of Copy"},
      {"mcl", "blocks", 1, 0x7FFF'FFFF, "Identify MCL: most blocks of one Copy"},
      {"msrc", "ranges", 0, 127, "Identify MSRC: source ranges of Copy, 0's based"},
      {"awun", "blocks", 0, 0xFFFF, "Identify AWUN: largest atomic write, 0's based"},
      {"awupf", "blocks", 0, 0xFFFF, "Identify AWUPF: the same on power failure, at most awun"},
      {"acwu", "blocks", 0, 0xFFFF, "Identify ACWU: largest fused Compare and Write, 0's based"},
      {"nabsn", "blocks", 0, 0xFFFF, "Identify NABSN: atomic boundary size, 0's based; 0 = none"},
      {"nabo", "blocks", 0, 0xFFFF, "Identify NABO: first atomic boundary"},
  };
  return kParams;
}

}  // namespace nvmesim::device
