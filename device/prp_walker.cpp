#include "device/prp_walker.hpp"

#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

void PrpWalker::map(Command& command, std::uint64_t bytes, Command::Step next) {
  command.mapped_bytes = bytes;
  if (command.sqe.psdt() != spec::kPsdtPrp) [[unlikely]] {
    core_.sgls.map(command, bytes, next);
    return;
  }
  command.next_step = next;
  const Status status =
      command.prps.begin(command.sqe.prp1, command.sqe.prp2, bytes, core_.registers.page_bytes());
  go_on(command, status);
}

void PrpWalker::go_on(Command& command, Status status) {
  if (status != Status::kSuccess) {
    core_.reject(command, status, "PRP entry with an offset that its place does not allow", "4.3");
    return;
  }
  if (command.prps.complete()) {
    command.staged.reset();
    if (core_.local && !core_.memory.data_ok(command, command.mapped_bytes)) [[unlikely]] {
      core_.reject(command, Status::kInvalidUseOfCmb, "CMBSZ does not allow data there", "4.7");
      return;
    }
    command.next_step(core_, command);
    return;
  }
  const PrpMap::Fetch fetch = command.prps.next_fetch();
  if (core_.local && !core_.memory.list_ok(fetch.address)) [[unlikely]] {
    core_.reject(command, Status::kInvalidUseOfCmb, "CMBSZ does not allow lists there", "4.7");
    return;
  }
  command.state = CommandState::kPrpList;
  if (!command.staged) command.staged = core_.buffers.take();
  ++command.pieces_open;
  ++list_reads_;
  core_.port.dma_read(fetch.address, {command.staged->data(), fetch.bytes}, command.staged,
                      base::Callback::of<&PrpWalker::arrived>(this, command.index));
}

void PrpWalker::arrived(std::uint64_t index) {
  Command& command = core_.commands.at(index);
  --command.pieces_open;
  if (command.ended) {
    core_.complete(command, command.status);
    return;
  }
  if (core_.port.dma_status() != pcie::DmaStatus::kOk) {
    core_.reject(command, Status::kDataTransferError, "the PRP list could not be read", "4.3");
    return;
  }
  const PrpMap::Fetch fetch = command.prps.next_fetch();
  const auto* entries = reinterpret_cast<const std::uint64_t*>(command.staged->data());
  go_on(command, command.prps.take({entries, fetch.bytes / sizeof(std::uint64_t)}));
}

}  // namespace nvmesim::device
