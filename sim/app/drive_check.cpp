#include "sim/app/drive_check.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <thread>

#include "sim/base/config.hpp"
#include "sim/system/presets.hpp"
#include "sim/system/system.hpp"
#include "sim/workload/job_file.hpp"
#include "sim/workload/job_runner.hpp"

namespace nvmesim::app {
namespace {

using boost::json::object;
using boost::json::value;

[[noreturn]] void refuse(std::string_view drive, std::size_t job, std::string_view what) {
  throw base::UserError(fmt::format("{}: published.{}: {}", drive, job, what));
}

const workload::OperationResult* operation_of(const workload::WorkloadResult& result,
                                              std::string_view name) {
  for (std::size_t i = 0; i < workload::kOperationCount; ++i) {
    if (workload::kOperationNames[i] == name) return &result.operations[i];
  }
  return nullptr;
}

constexpr std::string_view kQuantities[] = {"gb_per_s", "kiops",     "mean_us",  "median_us",
                                            "p99_us",   "p99999_us", "device_us"};

bool known_measure(std::string_view measure) {
  const std::size_t dot = measure.find('.');
  if (dot == measure.npos || operation_of({}, measure.substr(0, dot)) == nullptr) return false;
  for (std::string_view each : kQuantities) {
    if (each == measure.substr(dot + 1)) return true;
  }
  return false;
}

double microseconds(std::uint64_t ps) {
  return static_cast<double>(ps) / 1e6;
}

// Mean time in the device, from the doorbell's arrival to the completion entry.
double device_us(const workload::OperationResult& done) {
  base::Time total{0};
  for (auto i = static_cast<std::size_t>(base::Stage::kArbitration);
       i <= static_cast<std::size_t>(base::Stage::kCompletion); ++i) {
    total += done.stage_time[i];
  }
  return static_cast<double>(total.count()) / 1e6 / static_cast<double>(done.count);
}

// With a synchronous engine fio counts the submission to the completion latency.
double measured(const workload::WorkloadResult& result, std::string_view measure,
                bool synchronous) {
  const std::size_t dot = measure.find('.');
  const workload::OperationResult& done = *operation_of(result, measure.substr(0, dot));
  const std::string_view quantity = measure.substr(dot + 1);
  if (done.count == 0) return 0;
  const auto seconds = static_cast<double>(result.measured().count()) / 1e12;
  if (quantity == "gb_per_s") return static_cast<double>(done.bytes) / seconds / 1e9;
  if (quantity == "kiops") return static_cast<double>(done.count) / seconds / 1e3;
  const base::Histogram& clat = synchronous ? done.latency_ps : done.completion_latency_ps;
  if (quantity == "mean_us") return clat.mean() / 1e6;
  if (quantity == "median_us") return microseconds(clat.percentile(500'000));
  if (quantity == "p99_us") return microseconds(clat.percentile(990'000));
  if (quantity == "p99999_us") return microseconds(clat.percentile(999'990));
  return device_us(done);
}

std::string text_member(const object& from, std::string_view key, std::string_view drive,
                        std::size_t job) {
  const value* member = from.if_contains(key);
  if (member == nullptr || !member->is_string())
    refuse(drive, job, fmt::format("{}: a text is missing", key));
  return std::string(member->as_string());
}

double number_member(const object& from, std::string_view key, double otherwise,
                     std::string_view drive, std::size_t job) {
  const value* member = from.if_contains(key);
  if (member == nullptr && otherwise >= 0) return otherwise;
  if (member == nullptr || !member->is_number() || member->to_number<double>() < 0) {
    refuse(drive, job, fmt::format("{}: a number is missing", key));
  }
  return member->to_number<double>();
}

std::vector<std::string> lines_member(const object& from, std::string_view key,
                                      std::string_view drive, std::size_t job) {
  std::vector<std::string> lines;
  const value* member = from.if_contains(key);
  if (member == nullptr) return lines;
  if (!member->is_array()) refuse(drive, job, fmt::format("{}: a list of texts is expected", key));
  for (const value& line : member->as_array()) {
    if (!line.is_string()) refuse(drive, job, fmt::format("{}: a list of texts is expected", key));
    lines.emplace_back(line.as_string());
  }
  return lines;
}

PublishedFigure read_figure(const value& from, std::string_view drive, std::size_t job) {
  if (!from.is_object()) refuse(drive, job, "figures: objects are expected");
  const object& members = from.as_object();
  for (const auto& member : members) {
    constexpr std::string_view kKnown[] = {"figure",     "measure",           "target",
                                           "target_max", "tolerance_percent", "source"};
    bool known = false;
    for (std::string_view name : kKnown) known |= member.key() == name;
    if (!known)
      refuse(drive, job, fmt::format("figures: {}: unknown", std::string_view(member.key())));
  }
  PublishedFigure figure;
  figure.figure = text_member(members, "figure", drive, job);
  figure.measure = text_member(members, "measure", drive, job);
  figure.source = text_member(members, "source", drive, job);
  figure.target = number_member(members, "target", -1, drive, job);
  figure.target_max = number_member(members, "target_max", figure.target, drive, job);
  figure.tolerance_percent = number_member(members, "tolerance_percent", -1, drive, job);
  if (figure.target <= 0 || figure.target_max < figure.target) {
    refuse(drive, job, "target: must be above 0 and not above target_max");
  }
  if (!known_measure(figure.measure)) {
    refuse(drive, job,
           fmt::format("measure: '{}' is not OPERATION.QUANTITY with one of {}", figure.measure,
                       fmt::join(kQuantities, ", ")));
  }
  return figure;
}

PublishedJob read_published_job(const value& from, std::string_view drive, std::size_t number) {
  if (!from.is_object()) refuse(drive, number, "an object is expected");
  const object& members = from.as_object();
  for (const auto& member : members) {
    constexpr std::string_view kKnown[] = {"job", "settings", "warmup_ms", "figures"};
    bool known = false;
    for (std::string_view name : kKnown) known |= member.key() == name;
    if (!known) refuse(drive, number, fmt::format("{}: unknown", std::string_view(member.key())));
  }
  PublishedJob job;
  for (const std::string& line : lines_member(members, "job", drive, number))
    job.text += line + "\n";
  job.settings = lines_member(members, "settings", drive, number);
  job.warmup_ms = static_cast<std::uint64_t>(number_member(members, "warmup_ms", 0, drive, number));
  const value* figures = members.if_contains("figures");
  if (figures == nullptr || !figures->is_array())
    refuse(drive, number, "figures: a list is missing");
  for (const value& figure : figures->as_array()) {
    job.figures.push_back(read_figure(figure, drive, number));
  }
  return job;
}

// The measures of one job, in the order of its figures.
std::vector<double> run_job(const std::string& drive, const PublishedJob& job) {
  const workload::JobFile file = workload::parse_job(job.text, "published");
  system_::ConfigRequest request;
  request.drive = drive;
  request.settings = job.settings;
  system_::System system(system_::load_config(request));
  workload::RunnerConfig config;
  config.slowest = 0;
  config.warmup_us = job.warmup_ms * 1000;
  std::vector<double> values;
  system.run([&] {
    if (!system.boot()) throw base::UserError(drive + ": the driver brought up no disk");
    workload::JobRunner runner(system.scheduler(), *system.disk(), file, config);
    const auto hang = system.run_workload(runner);
    const workload::WorkloadResult result = runner.result();
    if (hang || result.requests_failed != 0) throw base::UserError(drive + ": requests failed");
    for (const PublishedFigure& figure : job.figures) {
      values.push_back(measured(result, figure.measure, file.jobs.front().engine->synchronous));
    }
  });
  if (values.size() != job.figures.size()) throw base::UserError(drive + ": the job did not end");
  return values;
}

struct Child {
  pid_t pid = -1;
  int from = -1;
};

// A simulation elaborates once per process, so each job gets one. It writes a line of numbers, or
// '!' and what went wrong.
Child start_child(const std::string& drive, const PublishedJob& job) {
  int ends[2];
  if (pipe(ends) != 0) throw base::UserError("drives --check: no pipe can be made");
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw base::UserError("drives --check: no process can be started");
  if (pid > 0) {
    close(ends[1]);
    return {pid, ends[0]};
  }
  close(ends[0]);
  std::string line;
  try {
    for (const double value : run_job(drive, job)) line += fmt::format("{} ", value);
  } catch (const std::exception& error) {
    line = fmt::format("!{}", error.what());
  }
  line += "\n";
  const ssize_t written = write(ends[1], line.data(), line.size());
  _exit(written == static_cast<ssize_t>(line.size()) ? 0 : 1);
}

std::string read_all(int from) {
  std::string text;
  char block[512];
  for (;;) {
    const ssize_t got = read(from, block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(block, static_cast<std::size_t>(got));
  }
  close(from);
  return text;
}

std::vector<double> finish_child(const Child& child, std::size_t wanted) {
  const std::string text = read_all(child.from);
  waitpid(child.pid, nullptr, 0);
  if (text.starts_with("!")) throw base::UserError(text.substr(1, text.find('\n') - 1));
  std::vector<double> values;
  const char* at = text.c_str();
  for (char* end = nullptr; values.size() < wanted; at = end) {
    values.push_back(std::strtod(at, &end));
    if (end == at) throw base::UserError("drives --check: a job ended without a result");
  }
  return values;
}

bool print_figure(const PublishedFigure& figure, double ours) {
  const double error = error_percent(figure, ours);
  const bool good = error <= figure.tolerance_percent && error >= -figure.tolerance_percent;
  const std::string target = figure.target == figure.target_max
                                 ? fmt::format("{:g}", figure.target)
                                 : fmt::format("{:g}-{:g}", figure.target, figure.target_max);
  fmt::print("  {:<44} {:<16} {:>11} {:>9.4g} {:>+7.1f} % {:>5g} %  {}\n", figure.figure,
             figure.measure, target, ours, error, figure.tolerance_percent, good ? "ok" : "OUT");
  return good;
}

}  // namespace

double error_percent(const PublishedFigure& figure, double ours) {
  if (ours < figure.target) return (ours - figure.target) / figure.target * 100;
  if (ours > figure.target_max) return (ours - figure.target_max) / figure.target_max * 100;
  return 0;
}

std::vector<PublishedJob> published_jobs(std::string_view drive) {
  const value preset = system_::load_preset("drives", drive);
  std::vector<PublishedJob> jobs;
  if (!preset.is_object()) throw base::UserError(fmt::format("{}: not a JSON object", drive));
  const value* list = preset.as_object().if_contains("published");
  if (list == nullptr) return jobs;
  if (!list->is_array()) throw base::UserError(fmt::format("{}: published: not a list", drive));
  for (const value& job : list->as_array()) {
    jobs.push_back(read_published_job(job, drive, jobs.size()));
  }
  return jobs;
}

int check_drive(const std::string& drive) {
  const std::vector<PublishedJob> jobs = published_jobs(drive);
  if (jobs.empty()) throw base::UserError(drive + ": the preset has no published figures");
  fmt::print("{}: published figures and what the model gives\n", drive);
  fmt::print("  {:<44} {:<16} {:>11} {:>9} {:>9} {:>7}\n", "figure", "measure", "target", "ours",
             "error", "tolerance");
  const std::size_t at_once = std::max(1U, std::thread::hardware_concurrency());
  std::vector<Child> children;
  bool good = true;
  for (std::size_t next = 0; next < jobs.size(); ++next) {
    while (children.size() < jobs.size() && children.size() < next + at_once) {
      children.push_back(start_child(drive, jobs[children.size()]));
    }
    const auto values = finish_child(children[next], jobs[next].figures.size());
    for (std::size_t i = 0; i < values.size(); ++i)
      good &= print_figure(jobs[next].figures[i], values[i]);
    std::fflush(stdout);
  }
  return good ? 0 : 1;
}

}  // namespace nvmesim::app
