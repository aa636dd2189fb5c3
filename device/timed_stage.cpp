#include "device/timed_stage.hpp"

namespace nvmesim::device {

TimedStage::TimedStage(base::Scheduler& scheduler, const std::string& name, std::uint32_t width,
                       base::Time interval, base::Time latency)
    : scheduler_(scheduler),
      unit_(name, width, interval),
      latency_(latency),
      present_(interval != base::kTimeZero || latency != base::kTimeZero) {}

void TimedStage::enter(base::Callback done) {
  const base::Time when = unit_.reserve(scheduler_.now()) + latency_;
  items_.push_back({when, done});
  if (items_.size() - first_ == 1) timer_ = scheduler_.at<&TimedStage::first_done>(when, this);
}

void TimedStage::first_done() {
  const base::Callback done = items_[first_++].done;
  if (first_ == items_.size()) {
    items_.clear();
    first_ = 0;
  } else {
    if (first_ > items_.size() / 2) {  // what has left makes room
      items_.erase(items_.begin(), items_.begin() + static_cast<std::ptrdiff_t>(first_));
      first_ = 0;
    }
    timer_ = scheduler_.at<&TimedStage::first_done>(items_[first_].when, this);
  }
  done();
}

void TimedStage::clear() {
  scheduler_.cancel(timer_);
  items_.clear();
  first_ = 0;
}

}  // namespace nvmesim::device
