#include "sim/report/text_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <numeric>
#include <utility>

#include "sim/report/figures.hpp"
#include "sim/report/text_format.hpp"

namespace nvmesim::report {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kLabel = 18;       // first column of every table
constexpr std::size_t kShortLabel = 14;  // fits every operation
constexpr std::size_t kOpenShown = 20;   // of a hang's open requests

class TextReport {
 public:
  TextReport(const RunReport& report, TextOptions options) : report_(report), options_(options) {
    for (const Operation operation : kOperations) {
      if (report.of(operation).count != 0) used_.push_back(operation);
    }
  }

  std::string print() {
    head();
    if (report_.hang) hang(*report_.hang);
    throughput();
    latency();
    stages();
    utilisation();
    remarks();
    slowest();
    return std::move(out_);
  }

 private:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    const std::size_t start = out_.size();
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
    while (out_.size() > start && out_.back() == ' ') out_.pop_back();
    out_ += '\n';
  }
  void heading(const std::string& text) {
    out_ += '\n';
    if (options_.colour) {
      line("\x1b[1m{}\x1b[0m", text);
    } else {
      line("{}", text);
    }
  }
  std::string alarm(const std::string& text) const {
    return options_.colour ? "\x1b[1;31m" + text + "\x1b[0m" : text;
  }
  // A label and text behind it, wrapped at spaces to the width.
  void paragraph(std::string_view label, const std::string& text) {
    std::string rest = fitted(text, text.size());
    std::string prefix = left(label, kLabel);
    const std::size_t room = kWidth - kLabel;
    while (rest.size() > room) {
      std::size_t cut = rest.rfind(' ', room);
      const bool at_space = cut != rest.npos && cut != 0;
      if (!at_space) {  // one long word: between characters
        cut = room;
        while (cut > 1 && (static_cast<unsigned char>(rest[cut]) & 0xC0) == 0x80) --cut;
      }
      line("{}{}", prefix, rest.substr(0, cut));
      rest.erase(0, cut + (at_space ? 1 : 0));
      prefix.assign(kLabel, ' ');
    }
    line("{}{}", prefix, rest);
  }

  void head() {
    std::string title = fmt::format("{} {}  {}", report_.tool, report_.version, report_.command);
    if (report_.trace) title += "  " + fitted(report_.trace->source, 50);
    line("{}", options_.colour ? "\x1b[1m" + title + "\x1b[0m" : title);
    std::string times = fmt::format("simulated {}", human_time(report_.simulated));
    if (report_.measured != report_.simulated) {
      times += fmt::format(", measured {}", human_time(report_.measured));
    }
    line("{}, seed {}", times, report_.seed);
    if (report_.partial) {
      line("{}", alarm("PARTIAL: " + fitted(report_.partial_reason, kWidth - 9)));
    }
  }

  void hang(const HangReport& hang) {
    out_ += '\n';
    line("{}", alarm(fmt::format("HANG at {}: {}", human_time(hang.at), fitted(hang.reason, 70))));
    line("{}{}{}{}{}{}{}  {}", left("  open", kShortLabel), right("sector", 12), right("size", 11),
         right("since", 11), right("for", 11), right("queue", 6), right("cid", 6), "stage");
    for (std::size_t i = 0; i < std::min(hang.open.size(), kOpenShown); ++i) {
      const OpenRequest& open = hang.open[i];
      const bool issued = open.queue != 0 || open.command != 0;
      const auto id = [&](std::uint16_t value) {
        return right(issued ? fmt::format("{}", value) : "-", 6);
      };
      line("{}{}{}{}{}{}{}  {}", left("  " + std::string(name(open.operation)), kShortLabel),
           right(fmt::format("{}", open.sector), 12), right(human_size(open.bytes), 11),
           right(human_time(open.submitted), 11), right(human_time(hang.at - open.submitted), 11),
           id(open.queue), id(open.command), fitted(open.stage, kWidth - kShortLabel - 59));
    }
    if (hang.open.size() > kOpenShown) line("  ... and {} more", hang.open.size() - kOpenShown);
  }

  void throughput() {
    if (used_.empty()) {
      if (report_.block_layer_flushes.count != 0) return;
      out_ += '\n';
      line("No request ended.");
      return;
    }
    throughput_heading("operations", "");
    for (const Operation operation : used_) {
      throughput_row("  " + std::string(name(operation)), "", report_.of(operation));
    }
    if (used_.size() > 1) throughput_row("  total", "", sum_of(report_.operations));
    if (report_.jobs.size() < 2) return;
    throughput_heading("jobs", "operation");
    for (const JobReport& job : report_.jobs) {
      for (const Operation operation : kOperations) {
        const OperationReport& row = job.operations[static_cast<std::size_t>(operation)];
        if (row.count == 0) continue;
        throughput_row("  " + fitted(job.name, kLabel - 3), std::string(name(operation)), row);
      }
    }
  }

  // With a second label the bytes are left out: bandwidth tells them.
  void throughput_heading(std::string_view label, std::string_view second) {
    heading(left(label, kLabel) + left(second, second.empty() ? 0 : 12) + right("count", 15) +
            right("errors", 15) + right("IOPS", 12) +
            (second.empty() ? right("bytes", 12) : std::string()) + right("bandwidth", 16));
  }

  void throughput_row(const std::string& label, const std::string& second,
                      const OperationReport& row) {
    const std::string errors = right(grouped(row.errors), 15);
    std::string text = left(label, kLabel) + left(second, second.empty() ? 0 : 12) +
                       right(grouped(row.count), 15) + (row.errors != 0 ? alarm(errors) : errors) +
                       right(human_rate(row.count, report_.measured), 12);
    if (second.empty()) text += right(row.bytes != 0 ? human_bytes(row.bytes) : "-", 12);
    text += right(row.bytes != 0 ? human_bandwidth(row.bytes, report_.measured) : "-", 16);
    line("{}", text);
  }

  void latency() {
    if (used_.empty()) return;
    std::string columns = left("latency (us)", kLabel) + right("mean", 9) + right("min", 9);
    for (const Percentile& percentile : kPercentiles) columns += right(percentile.label, 9);
    heading(columns + right("max", 9));
    for (const Operation operation : used_) {
      const OperationReport& row = report_.of(operation);
      const base::Histogram& whole = row.latency;
      const base::Histogram& completion = row.completion_latency;
      latency_row(name(operation), whole);
      const bool same = whole.sum() == completion.sum() && whole.max() == completion.max();
      if (!same) latency_row("  completion", completion);
    }
  }

  void latency_row(std::string_view label, const base::Histogram& histogram) {
    std::string text = left("  " + std::string(label), kLabel);
    text += " ";
    text += right(microseconds(scaled(histogram.sum(), 1, histogram.count())), 8);
    text += " " + right(microseconds(histogram.min()), 8);
    for (const Percentile& percentile : kPercentiles) {
      text += " " + right(microseconds(histogram.percentile(percentile.parts_per_million)), 8);
    }
    line("{} {}", text, right(microseconds(histogram.max()), 8));
  }

  void stages() {
    std::vector<Operation> shown;
    StageTimes sums{};
    for (const Operation operation : used_) {
      const OperationReport& row = report_.of(operation);
      if (row.latency.count() == 0) continue;
      shown.push_back(operation);
      for (std::size_t i = 0; i < base::kStageCount; ++i) sums[i] += row.stages[i];
    }
    if (std::all_of(sums.begin(), sums.end(), [](base::Time time) { return ps(time) == 0; }))
      return;
    std::string columns = left("mean stages (us)", kLabel);
    for (const Operation operation : shown) columns += right(name(operation), 16);
    heading(columns);
    for (std::size_t i = 0; i < base::kStageCount; ++i) {
      if (ps(sums[i]) == 0) continue;
      std::string text = left("  " + std::string(base::name(static_cast<base::Stage>(i))), kLabel);
      for (const Operation operation : shown) text += stage_cell(report_.of(operation), i);
      line("{}", text);
    }
    std::string text = left("  total", kLabel);
    for (const Operation operation : shown) {
      const OperationReport& row = report_.of(operation);
      text += right(microseconds(scaled(total(row.stages), 1, row.latency.count())), 8);
      text += std::string(8, ' ');
    }
    line("{}", text);
  }

  static std::uint64_t total(const StageTimes& stages) {
    std::uint64_t sum = 0;
    for (const base::Time time : stages) sum += ps(time);
    return sum;
  }

  static std::string stage_cell(const OperationReport& row, std::size_t stage) {
    const std::uint64_t spent = ps(row.stages[stage]);
    if (spent == 0) return right("-", 8) + std::string(8, ' ');
    return right(microseconds(scaled(spent, 1, row.latency.count())), 8) +
           right(percent(spent, total(row.stages)), 8);
  }

  void utilisation() {
    if (report_.utilisation.empty()) return;
    const std::uint64_t span = ps(use_span(report_));
    heading(left("utilisation", kLabel) + right("parts", 14) + right("mean", 10) +
            right("max", 14) + "  busiest");
    for (const GroupUse& use : by_group(report_.utilisation)) {
      const auto busiest =
          std::max_element(use.members.begin(), use.members.end(),
                           [](const auto& a, const auto& b) { return a.busy < b.busy; });
      line("{}{}{}{}  {}", left("  " + fitted(use.group, kLabel - 3), kLabel),
           right(grouped(use.members.size()), 14),
           right(percent(scaled(use.busy_sum, 1, use.members.size()), span), 10),
           right(percent(use.busy_max, span), 14),
           use.busy_max != 0 ? fitted(busiest->name, kWidth - kLabel - 40) : "-");
    }
  }

  void remarks() {
    out_ += '\n';
    requests(report_.requests);
    if (report_.trace) trace(*report_.trace);
    if (report_.backlog) backlog(*report_.backlog);
    if (report_.reads.unwritten != 0) {
      paragraph("reads", fmt::format("{} of {} touched blocks that were never written, which costs "
                                     "no access to the medium",
                                     grouped(report_.reads.unwritten),
                                     counted(report_.reads.commands, "read", "reads")));
    }
    if (report_.block_layer_flushes.count != 0) {
      paragraph("flushes", grouped(report_.block_layer_flushes.count) +
                               " ended in the block layer: the drive has no volatile cache");
    }
    if (report_.flash) flash(*report_.flash);
    if (report_.verification) verification(*report_.verification);
    for (const std::string& note : report_.notes) paragraph("note", note);
  }

  void requests(const RequestCounts& requests) {
    std::string text = fmt::format("{} completed, ", grouped(requests.completed));
    const std::uint64_t lost = requests.submitted - requests.completed;
    text += fmt::format("{} {}, {} failed", grouped(lost), report_.partial ? "open" : "lost",
                        grouped(requests.failed));
    if (requests.warmup != 0) text += fmt::format("; {} in the warm-up", grouped(requests.warmup));
    line("{}{}", left("requests", kLabel), lost != 0 && !report_.partial ? alarm(text) : text);
  }

  void trace(const TraceReport& trace) {
    std::string text =
        fmt::format("{}: {}", trace.format, counted(trace.requests, "request", "requests"));
    const auto add = [&text](std::uint64_t count, std::string_view what) {
      if (count != 0) text += fmt::format(", {} {}", grouped(count), what);
    };
    add(trace.unknown_lines, trace.unknown_lines == 1 ? "unknown line" : "unknown lines");
    add(trace.beyond_limit, "beyond the limit");
    add(trace.out_of_order, "out of order (sorted)");
    add(trace.wrapped, "beyond the drive (wrapped)");
    add(trace.split, "split");
    add(trace.aligned, "widened to whole blocks");
    paragraph("trace", text);
  }

  void backlog(const BacklogReport& backlog) {
    std::string text = fmt::format(
        "behind the trace: mean {}, max {}, at the end {}; at most {} open",
        human_time(base::Time{
            static_cast<std::int64_t>(scaled(ps(backlog.behind_sum), 1, backlog.requests))}),
        human_time(backlog.behind_max), human_time(backlog.end_behind), grouped(backlog.open_max));
    if (ps(backlog.processor_wait_max) != 0) {
      text +=
          fmt::format("; waits for a processor up to {}", human_time(backlog.processor_wait_max));
    }
    text += fmt::format("; {} waited for a tag", grouped(backlog.tag_waits));
    if (backlog.tag_waits != 0) text += fmt::format(" (max {})", human_time(backlog.tag_wait_max));
    if (backlog.late_submissions != 0) {
      text += fmt::format("; {} held back", grouped(backlog.late_submissions));
    }
    paragraph("backlog", text);
  }

  void flash(const FlashReport& flash) {
    std::string text = fmt::format(
        "{} written by the host, {} programmed for it, {} in all", human_bytes(flash.host_bytes),
        human_bytes(flash.host_programmed_bytes), human_bytes(flash.media_bytes));
    if (flash.host_bytes != 0) {
      text +=
          fmt::format(", write amplification {}", significant(flash.media_bytes, flash.host_bytes));
    }
    text += "; " + counted(flash.garbage_collections, "garbage collection", "garbage collections");
    if (flash.moved_bytes != 0) text += fmt::format(" moved {}", human_bytes(flash.moved_bytes));
    paragraph("flash", text + "; " + counted(flash.erases, "erase", "erases"));
  }

  void verification(const VerificationReport& verification) {
    std::string text =
        fmt::format("{} read back, {} checked in the run; {} checked",
                    counted(verification.sectors_checked, "sector", "sectors"),
                    grouped(verification.sectors_checked_run),
                    counted(verification.media_reads_checked, "media read", "media reads"));
    if (verification.sectors_not_checked != 0) {
      text += fmt::format("; {} not read back", counted(verification.sectors_not_checked,
                                                        "zeroed sector", "zeroed sectors"));
    }
    paragraph("verification", text);
    std::string verdict = fmt::format("{}: {}", verification.passed() ? "passed" : "FAILED",
                                      counted(verification.mismatches, "mismatch", "mismatches"));
    if (verification.read_back_errors != 0) {
      verdict += fmt::format(", read errors: {}", grouped(verification.read_back_errors));
    }
    if (!verification.read_back_complete) verdict += ", read-back not complete";
    line("{}{}", std::string(kLabel, ' '), verification.passed() ? verdict : alarm(verdict));
    for (const std::string& mismatch : verification.first_mismatches) {
      line("{}{}", std::string(kLabel + 2, ' '), fitted(mismatch, kWidth - kLabel - 2));
    }
  }

  void slowest() {
    if (report_.slowest.empty()) return;
    heading(left("slowest", kShortLabel) + right("sector", 12) + right("size", 12) +
            right("at", 10) + right("latency", 10) + "  longest stages (us)");
    for (const SlowRequest& slow : report_.slowest) {
      const std::string text =
          left("  " + std::string(name(slow.operation)), kShortLabel) +
          right(fmt::format("{}", slow.sector), 12) + right(human_size(slow.bytes), 12) +
          right(human_time(slow.submitted), 10) + right(human_time(slow.latency), 10) + "  ";
      line("{}{}", text, longest_stages(slow.stages, kWidth - std::min(text.size(), kWidth)));
    }
  }

  // As many as fit, longest first.
  static std::string longest_stages(const StageTimes& stages, std::size_t room) {
    std::array<std::size_t, base::kStageCount> order{};
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return stages[a] > stages[b]; });
    std::string text;
    for (const std::size_t stage : order) {
      if (ps(stages[stage]) == 0) break;
      const std::string one =
          fmt::format("{}{} {}", text.empty() ? "" : ", ",
                      base::name(static_cast<base::Stage>(stage)), microseconds(ps(stages[stage])));
      if (text.size() + one.size() > room) break;
      text += one;
    }
    return text;
  }

  const RunReport& report_;
  TextOptions options_;
  std::vector<Operation> used_;
  std::string out_;
};

}  // namespace

std::string to_text(const RunReport& report, TextOptions options) {
  return TextReport(report, options).print();
}

}  // namespace nvmesim::report
