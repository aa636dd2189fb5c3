#include "sim/workload/runner.hpp"

#include <algorithm>

#include "sim/base/assert.hpp"

namespace nvmesim::workload {

Runner::Runner(base::Scheduler& scheduler, host::BlockDevice& device, const RunnerConfig& config)
    : scheduler_(scheduler),
      device_(device),
      config_(config),
      engine_(scheduler, device, config.slowest) {
  if (config.verify) enable_verification();
}

void Runner::enable_verification() {
  NVMESIM_ASSERT(!started_, "verification is turned on after the start");
  if (!verifier_) verifier_ = std::make_unique<Verifier>(config_.verification);
  engine_.set_verifier(verifier_.get());
}

void Runner::start(base::Callback finished) {
  NVMESIM_ASSERT(!started_, "a workload is started twice");
  started_ = true;
  finished_callback_ = finished;
  start_ = scheduler_.now();
  const auto warmup = std::chrono::microseconds{config_.warmup_us};
  engine_.start(start_, start_ + warmup, result_groups());
  // Before the entries of the requests, so first at its instant.
  if (measuring_)
    measuring_handle_ = scheduler_.at<&Runner::measuring_entry>(start_ + warmup, this);
  scheduler_.at<&Runner::begin_entry>(start_, this);
}

void Runner::begin_entry() {
  if (!stopping_) begin();
  check_finished();
}

void Runner::stop() {
  if (stopping_ || finished_) return;
  stopping_ = true;
  if (read_back_) read_back_->stop();
  if (started_ && engine_.open() == 0) {
    scheduler_.at<&Runner::check_finished>(scheduler_.now(), this);
  }
}

void Runner::io_ended(const EndedIo& io) {
  request_ended(io);
  check_finished();
}

void Runner::check_finished() {
  if (finished_ || read_back_ || engine_.open() > 0) return;
  if (!stopping_ && !exhausted()) return;
  scheduler_.cancel(measuring_handle_);
  if (run_ended_) run_ended_();
  if (!verifier_) {
    finish();
    return;
  }
  read_back_ = std::make_unique<ReadBack>(engine_, device_, *verifier_,
                                          base::Callback::of<&Runner::finish>(this));
  read_back_->start();
}

void Runner::finish() {
  finished_ = true;
  if (finished_callback_) finished_callback_();
}

Progress Runner::progress() const {
  Progress progress = run_progress();
  if (read_back_ && !finished_) {
    progress.reading_back = true;
    progress.done = read_back_->sectors_done();
    progress.total = read_back_->sectors_total();
  }
  progress.total = std::max<std::uint64_t>(progress.total, 1);
  progress.done = finished_ ? progress.total : std::min(progress.done, progress.total);
  return progress;
}

std::uint64_t Runner::work_done() const {
  return engine_.completed() + (read_back_ ? read_back_->sectors_done() : 0);
}

WorkloadResult Runner::result() const {
  WorkloadResult result;
  result.complete = finished_ && !stopping_;
  engine_.fill(result);
  complete_result(result);
  if (verifier_) result.verified = verifier_->result();
  return result;
}

}  // namespace nvmesim::workload
