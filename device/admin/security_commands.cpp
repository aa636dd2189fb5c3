// Security Send and Receive (sections 5.25, 5.26): the list of security protocols, and a level 0
// discovery that names no security subsystem class, as of a drive without Opal. Data is big-endian
// (SPC-4, section 7.7; TCG Storage Architecture Core Specification 2.01, section 3.3.6).
#include <algorithm>

#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"
#include "device/spec/management.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

constexpr unsigned kProtocolInformation = 0x00;
constexpr unsigned kProtocolTcg1 = 0x01;
constexpr unsigned kSupportedList = 0x0000;
constexpr unsigned kCertificate = 0x0001;
constexpr unsigned kLevel0ComId = 0x0001;

void put_big_endian(std::vector<std::byte>& data, std::size_t at, std::uint32_t value,
                    std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) {
    data[at + i] = static_cast<std::byte>(value >> (8 * (bytes - 1 - i)));
  }
}

std::vector<std::byte> supported_list() {
  std::vector<std::byte> data(10);
  put_big_endian(data, 6, 2, 2);
  data[8] = std::byte{kProtocolInformation};
  data[9] = std::byte{kProtocolTcg1};
  return data;
}

// Header of 48 bytes and the TPer feature with nothing supported.
std::vector<std::byte> level0_discovery() {
  constexpr std::size_t kHeader = 48;
  constexpr std::size_t kFeature = 16;
  std::vector<std::byte> data(kHeader + kFeature);
  put_big_endian(data, 0, kHeader + kFeature - 4, 4);
  put_big_endian(data, 4, 1, 4);  // revision 0.1
  put_big_endian(data, kHeader, 0x0001, 2);
  data[kHeader + 2] = std::byte{0x10};
  data[kHeader + 3] = std::byte{kFeature - 4};
  return data;
}

// Empty if there is no such protocol or page.
std::vector<std::byte> answer_of(const spec::SecurityFields& fields) {
  if (fields.protocol() == kProtocolInformation && fields.specific() == kSupportedList) {
    return supported_list();
  }
  if (fields.protocol() == kProtocolInformation && fields.specific() == kCertificate) {
    return std::vector<std::byte>(4);  // no certificate
  }
  if (fields.protocol() == kProtocolTcg1 && fields.specific() == kLevel0ComId) {
    return level0_discovery();
  }
  return {};
}

void send_answer(Core& core, Command& command) {
  std::vector<std::byte> data = answer_of({command.sqe.cdw10});
  data.resize(std::min<std::size_t>(data.size(), command.sqe.cdw11));
  core.admin_data.send(command, data, command.sqe.cdw11);
}

}  // namespace

void security_receive(Core& core, Command& command) {
  const std::uint32_t length = command.sqe.cdw11;
  if (answer_of({command.sqe.cdw10}).empty()) {
    core.reject(command, Status::kInvalidField, "this security protocol is not supported", "5.25");
  } else if (length > core.config.max_transfer_bytes()) {
    core.reject(command, Status::kInvalidField, "more than MDTS allows", "5.25");
  } else if (length == 0) {
    core.complete(command, Status::kSuccess);
  } else {
    core.prps.map(command, length, send_answer);
  }
}

// No protocol of the list takes data.
void security_send(Core& core, Command& command) {
  core.reject(command, Status::kInvalidField, "no security protocol accepts data", "5.26");
}

}  // namespace nvmesim::device
