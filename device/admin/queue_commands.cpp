// Create and Delete I/O Submission and Completion Queue (sections 5.3 to 5.6).
#include "device/admin/admin_commands.hpp"
#include "device/core.hpp"

namespace nvmesim::device {

using spec::Status;

namespace {

spec::CreateQueueFields fields_of(const Command& command) {
  return {command.sqe.cdw10, command.sqe.cdw11};
}

// What both kinds of queue have in common; false if the command was rejected.
bool check_memory(Core& core, Command& command, std::uint32_t entry_size, std::uint32_t expected) {
  const spec::CreateQueueFields fields = fields_of(command);
  if (entry_size != expected) {
    core.reject(command, Status::kInvalidField, "CC gives no size for its entries", "3.1.5");
  } else if (fields.qsize() == 0 || fields.qsize() > core.config.mqes) {
    core.reject(command, Status::kInvalidQueueSize, "QSIZE is 0 or above CAP.MQES", "5.3");
  } else if ((command.sqe.prp1 & (core.registers.page_bytes() - 1)) != 0 || command.sqe.prp1 == 0) {
    core.reject(command, Status::kPrpOffsetInvalid, "the queue does not start at a page", "5.3");
  } else if (!fields.pc()) {
    core.reject(command, Status::kInvalidField, "PC is 0 and CAP.CQR is 1", "5.3");
  } else {
    return true;
  }
  return false;
}

}  // namespace

void create_io_cq(Core& core, Command& command) {
  const spec::CreateQueueFields fields = fields_of(command);
  const std::uint16_t qid = fields.qid();
  if (qid == 0 || qid > core.queues.max_id() || core.queues.cq(qid) != nullptr) {
    core.reject(command, Status::kInvalidQueueId, "QID is out of range or in use", "5.3");
    return;
  }
  if (!check_memory(core, command, core.registers.cc().iocqes(), spec::kIocqes)) return;
  if (!core.memory.completion_queue_ok(command.sqe.prp1)) {
    core.reject(command, Status::kInvalidUseOfCmb, "CMBSZ.CQS is 0", "4.7");
    return;
  }
  if (fields.iv() >= core.config.vectors) {
    core.reject(command, Status::kInvalidInterruptVector, "IV is not in the MSI-X table", "5.3");
    return;
  }
  core.queues.create_cq(qid, fields.qsize() + 1u, command.sqe.prp1, fields.ien(), fields.iv());
  core.complete(command, Status::kSuccess);
}

void create_io_sq(Core& core, Command& command) {
  const spec::CreateQueueFields fields = fields_of(command);
  const std::uint16_t qid = fields.qid();
  if (fields.cqid() == 0 || core.queues.cq(fields.cqid()) == nullptr) {
    core.reject(command, Status::kCompletionQueueInvalid, "CQID names no I/O completion queue",
                "5.4");
    return;
  }
  if (qid == 0 || qid > core.queues.max_id() || core.queues.sq(qid) != nullptr) {
    core.reject(command, Status::kInvalidQueueId, "QID is out of range or in use", "5.4");
    return;
  }
  if (!check_memory(core, command, core.registers.cc().iosqes(), spec::kIosqes)) return;
  if (!core.memory.submission_queue_ok(command.sqe.prp1)) {
    core.reject(command, Status::kInvalidUseOfCmb, "CMBSZ.SQS is 0", "4.7");
    return;
  }
  core.queues.create_sq(qid, fields.qsize() + 1u, command.sqe.prp1, fields.cqid(), fields.qprio());
  core.complete(command, Status::kSuccess);
}

void delete_io_cq(Core& core, Command& command) {
  const std::uint16_t qid = fields_of(command).qid();
  CompletionQueue* queue = qid == 0 ? nullptr : core.queues.cq(qid);
  if (queue == nullptr) {
    core.reject(command, Status::kCompletionQueueInvalid, "QID names no I/O completion queue",
                "5.5");
  } else if (queue->users != 0) {
    core.reject(command, Status::kInvalidQueueDeletion, "submission queues still use it", "5.5");
  } else {
    core.queues.delete_cq(*queue);
    core.complete(command, Status::kSuccess);
  }
}

// The commands in flight are aborted with a completion; those not fetched yet, and those that find
// no room in the completion queue, are completed implicitly.
void delete_io_sq(Core& core, Command& command) {
  const std::uint16_t qid = fields_of(command).qid();
  SubmissionQueue* queue = qid == 0 ? nullptr : core.queues.sq(qid);
  if (queue == nullptr || queue->deleting) {
    core.reject(command, Status::kInvalidQueueId, "QID names no I/O submission queue", "5.6");
    return;
  }
  command.state = CommandState::kParked;
  command.record.stamp(base::Stage::kDecode, core.scheduler.now());
  core.fetcher.forget(*queue);
  for (Command& victim : core.commands.all()) {
    if (victim.state != CommandState::kFree && victim.sqid == qid) {
      core.terminate(victim, Status::kAbortedSqDeletion);
    }
  }
  queue->deleting = true;
  queue->deletion = &command;
  core.poster.drop_waiting(*queue);
  if (queue->deleting) core.finish_deletion(*queue);
}

}  // namespace nvmesim::device
