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
      "engine-cost-ns", po::value<std::string>()->default_value("550"),
      "CPU time of the system call above the block layer, per request");
  return options;
}

workload::TraceEvent event_of(const std::string& text) {
  if (text == "D") return workload::TraceEvent::kIssue;
  if (text == "Q") return workload::TraceEvent::kQueued;
  throw base::UserError(fmt::format("--event: '{}' is not D or Q", text));
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
      .add(result_options());
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
  config.engine_cost_ns = unsigned_option(values, "engine-cost-ns", 0, 1'000'000'000);
  if (values.count("closed-loop") != 0) {
    config.closed_loop =
        static_cast<std::uint32_t>(unsigned_option(values, "closed-loop", 1, 65536));
  }
  const std::string path = values["TRACE"].as<std::string>();
  const workload::Trace trace = workload::read_trace(path, read);

  Simulation simulation("replay", values, std::move(hooks));
  report::TraceReport facts;
  facts.source = path;
  facts.format = trace.format;
  facts.requests = trace.requests.size();
  facts.unknown_lines = trace.unknown_lines;
  simulation.set_trace(facts);
  return simulation.run([&](system_::System& system, const workload::RunnerConfig& run) {
    config.run = run;
    return std::make_unique<workload::Replayer>(system.scheduler(), *system.disk(), trace, config);
  });
}

}  // namespace nvmesim::app
