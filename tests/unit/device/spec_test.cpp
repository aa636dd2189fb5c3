// Names and encodings of the wire format.
#include "device/spec/command_key.hpp"
#include "device/spec/features.hpp"
#include "device/spec/logs.hpp"
#include "tests/support/catch.hpp"

using namespace nvmesim::device::spec;

TEST_CASE("numbers have the specification's names") {
  CHECK(opcode_name(AdminOpcode::kIdentify) == "Identify");
  CHECK(opcode_name(NvmOpcode::kDatasetManagement) == "Dataset Management");
  CHECK(opcode_name(static_cast<NvmOpcode>(0x77)) == "Unknown");
  CHECK(status_name(Status::kInvalidField) == "Invalid Field in Command");
  CHECK(status_name(static_cast<Status>(0x7FF)) == "Unknown Status");
  CHECK(feature_name(FeatureId::kNumberOfQueues) == "Number of Queues");
  CHECK(log_page_name(LogPageId::kSmart) == "SMART / Health Information");
}
TEST_CASE("registers have names, halves of wide ones and doorbells too") {
  CHECK(register_name(0x14) == "CC");
  CHECK(register_name(0x04) == "CAP+4");
  CHECK(register_name(0x2C) == "ASQ+4");
  CHECK(register_name(0x3C) == "CMBSZ");
  CHECK(register_name(0x1018) == "SQ3TDBL");
  CHECK(register_name(0x1004) == "CQ0HDBL");
  CHECK(register_name(0x1010, 2) == "CQ0HDBL");
  CHECK(register_name(0x1004, 2) == "?");
  CHECK(register_name(0x18) == "?");
}
TEST_CASE("a status word keeps its parts") {
  const std::uint16_t word = status_word(Status::kUnrecoveredReadError, true, true);
  CHECK(status_of(word) == Status::kUnrecoveredReadError);
  CHECK(phase_of(word));
  CHECK(dnr_of(word));
  CHECK(crd_of(word) == 0);
  CHECK(sct_of(status_of(word)) == kSctMedia);
  CHECK(sc_of(status_of(word)) == 0x81);
  CHECK(status_word(Status::kSuccess, false) == 0);
}
TEST_CASE("register fields take and give their bits") {
  Cc cc;
  cc.set_en(true);
  cc.set_iosqes(6);
  cc.set_iocqes(4);
  CHECK(cc.value == 0x0046'0001);
  cc.set_shn(kShnNormal);
  CHECK(cc.value == 0x0046'4001);
  CHECK(Cap{0x20'1401'03FF}.mqes() == 1023);
  CHECK(Cap{0x20'1401'03FF}.to() == 20);
  CHECK(Aqa{0x001F'003F}.asqs() == 63);
  CHECK(sq_tail_doorbell(3, 0) == 0x1018);
  CHECK(cq_head_doorbell(1, 4) == 0x1000 + 3 * 64);
}
