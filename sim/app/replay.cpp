// nvmesim replay: a recorded block trace on a simulated system.
#include <fmt/format.h>

#include "sim/app/simulation.hpp"
#include "sim/workload/replayer.hpp"
#include "sim/workload/trace.hpp"

namespace nvmesim::app {
namespace {

po::options_description replay_options() {
  po::options_description options("Replay");
  options.add_options()("event", po::value<std::string>()->default_value("D"),
                        "which events of a blktrace are its requests: D (issued) or Q (queued)")(
      "speed", po::value<std::string>()->default_value("1"),
      "arrive this many times as fast as recorded")(
      "closed-loop", po::value<std::string>(),
      "ignore arrival times and keep this many requests in flight")(
      "limit", po::value<std::string>()->default_value("0"),
      "take only the first so many requests (0: all)")(
      "max-open", po::value<std::string>()->default_value("65536"),
      "with arrival times: later requests wait while so many are open")(
      "engine-cost-ns", po::value<std::string>()->default_value("550"),
      "CPU time of the system call above the block layer, per request")(
      "plug-us", po::value<std::string>()->default_value("0"),
      "with arrival times: requests of one CPU so close together are gathered and merged (0: "
      "none)");
  return options;
}

workload::TraceEvent event_of(const std::string& text) {
  if (text == "D") return workload::TraceEvent::kIssue;
  if (text == "Q") return workload::TraceEvent::kQueued;
  throw base::UserError(fmt::format("--event: '{}' is not D or Q", text));
}

// An option that would have no effect on this trace is a mistake of who gave it.
void refuse_idle_options(const po::variables_map& values, const workload::Trace& trace) {
  const auto refuse = [&](const char* name, std::string_view why) {
    if (values.count(name) == 0 || values[name].defaulted()) return;
    throw base::UserError(fmt::format("--{} {}: {}", name, values[name].as<std::string>(), why));
  };
  if (!trace.has_events) refuse("event", fmt::format("a {} has no events", trace.format));
  const bool closed_loop = values.count("closed-loop") != 0;
  if (!closed_loop && trace.timed) return;
  const char* why = closed_loop ? "there are no arrival times with --closed-loop"
                                : "the trace has no arrival times";
  refuse("speed", why);
  refuse("max-open", why);
  refuse("plug-us", why);
}

boost::json::object describe(const std::string& path, const workload::Trace& trace,
                             const workload::ReplayConfig& config,
                             const workload::ReadOptions& read) {
  boost::json::object facts;
  facts["kind"] = "trace";
  facts["source"] = path;
  facts["file_bytes"] = trace.file_bytes;
  facts["file_crc32"] = fmt::format("{:08x}", trace.file_crc32);
  if (trace.has_events) {
    facts["event"] = read.event == workload::TraceEvent::kIssue ? "D" : "Q";
  }
  facts["limit"] = read.limit;
  facts["closed_loop"] = config.closed_loop;
  facts["speed"] = config.speed;
  facts["max_open"] = config.max_open;
  facts["engine_cost_ns"] = config.engine_cost_ns;
  facts["plug_us"] = config.plug_us;
  return facts;
}

}  // namespace

int replay(const Arguments& arguments) {
  return replay_with(arguments, {});
}

int replay_with(const Arguments& arguments, system_::SystemHooks hooks) {
  po::options_description options;
  options.add(replay_options())
      .add(workload_options())
      .add(system_options())
      .add(precondition_options())
      .add(result_options())
      .add(trace_options());
  const auto values =
      parse(arguments, "replay",
            "Replays a recorded block trace: blkparse text, ftrace blk text, fio iolog v2 or v3,\n"
            "plain or gzip. Requests arrive when they did in the recording, unless --closed-loop.",
            options, {"TRACE"});

  workload::ReadOptions read;
  read.event = event_of(values["event"].as<std::string>());
  read.limit = unsigned_option(values, "limit", 0, 1'000'000'000'000);
  workload::ReplayConfig config;
  config.speed = values["speed"].as<std::string>();
  workload::parse_speed(config.speed);  // refuse it before anything is read
  config.max_open = static_cast<std::uint32_t>(unsigned_option(values, "max-open", 1, 1 << 24));
  config.engine_cost_ns = unsigned_option(values, "engine-cost-ns", 0, 1'000'000'000);
  config.plug_us = unsigned_option(values, "plug-us", 0, 1'000'000);
  if (values.count("closed-loop") != 0) {
    config.closed_loop =
        static_cast<std::uint32_t>(unsigned_option(values, "closed-loop", 1, 65536));
  }
  const std::string path = values["TRACE"].as<std::string>();
  const workload::Trace trace = workload::read_trace(path, read);
  refuse_idle_options(values, trace);

  Simulation simulation("replay", values, std::move(hooks));
  simulation.set_trace({.source = path,
                        .format = trace.format,
                        .gzip = trace.gzip,
                        .requests = trace.requests.size(),
                        .beyond_limit = trace.beyond_limit,
                        .other_lines = trace.other_lines,
                        .unknown_lines = trace.unknown_lines,
                        .out_of_order = trace.out_of_order});
  simulation.set_workload(describe(path, trace, config, read));
  return simulation.run([&](system_::System& system, const workload::RunnerConfig& run) {
    config.run = run;
    return std::make_unique<workload::Replayer>(system.scheduler(), *system.disk(), trace, config);
  });
}

}  // namespace nvmesim::app
