#include "check/probe_process.h"

#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "check/facts_json.h"
#include "util/error.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

constexpr std::string_view starting = "starting ";

// In the process: a line before each probe, and one of JSON after it.
void run_child(const std::function<void(const ProbeListener&)>& probes) {
  probes({.starting = [](const std::string& name) { tell_parent(fmt::format("{}{}", starting, name)); },
          .done = [](const ProbeFacts& probe) { tell_parent(json_text(probe_to_json(probe))); }});
}

}  // namespace

ProbeProcess::ProbeProcess(std::string device, const std::function<void(const ProbeListener&)>& probes,
                           std::chrono::milliseconds limit)
    : device_(std::move(device)), process_("probe " + device_, [&] { run_child(probes); }, limit) {}

std::vector<ProbeFacts> ProbeProcess::finish() {
  std::vector<ProbeFacts> results;
  std::string current = "start";
  process_.read_lines([&](const std::string& line) {
    if (line.starts_with(starting)) {
      current = line.substr(starting.size());
      return true;
    }
    try {
      results.push_back(probe_from_json(line));
      current = "end";
      return true;
    } catch (const UsageError&) {
      return false;
    }
  });
  std::optional<ProcessFailure> failure = process_.end();
  // How it ended is unknown if SIGCHLD is ignored.
  if (!failure && current != "end") failure = {.message = "it ended without a result"};
  if (failure) results.push_back({device_, current, failure->outcome, failure->message, 0, std::nan("")});
  return results;
}

}  // namespace trainyard
