// trainyard bench: measures the training step, the loader or the decoding of images with a run's settings.

#include "commands/bench.h"

#include <algorithm>
#include <charconv>
#include <iostream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "commands/command.h"
#include "commands/several_gpus.h"
#include "distributed/rank.h"
#include "util/count_of.h"
#include "util/json_text.h"
#include "util/output.h"
#include "util/output_file.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr const char* standard_output = "-";

// With three digits at least: "12,345", "98.7", "0.0123".
std::string rate_text(double rate) {
  if (rate < 100) return fmt::format("{:.3g}", rate);
  std::string digits = fmt::format("{:.0f}", rate);
  for (std::size_t place = digits.size(); place > 3; place -= 3) digits.insert(place - 3, ",");
  return digits;
}

class BenchCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("stage", stage_,
                  "step, the training step on a random batch; loader, the workers on their own; decode, the data's "
                  "images on one core",
                  {.required = true, .one_of = {"step", "loader", "decode"}});
    arguments.add("--rounds", options_.rounds, "how often to measure; the output is median and range",
                  {.range = {{1, 1000}}});
    arguments.add("--seconds", options_.seconds, "about how long a round takes", {.range = {{0, 3600}}});
    arguments.add("--json", json_, "file that receives all figures as JSON; - prints them instead of the table");
    arguments.add("--turns", options_.turns,
                  "of step, to take turns with other programs: read numbers of steps from standard input, one per "
                  "line, and answer each with the mean seconds per step",
                  {.excludes = "--json"});
  }

  int run(const Config& config) override {
    if (options_.turns && stage_ != "step") {
      throw UsageError("bench", "--turns is for step, not for {}; leave it out", stage_);
    }
    options_.quiet = json_ == standard_output || options_.turns;
    if (!json_.empty() && json_ != standard_output) require_writable(json_, "bench");
    if (stage_ == "step" && !options_.turns && rank_of_process().launcher.empty()) {
      const SeveralGpus several = run_on_several_gpus(config, /*prints=*/!options_.quiet);
      if (several.exit_code) return *several.exit_code;
      options_.driver_failure = several.driver_failure;
    }
    const nlohmann::ordered_json figures = stage_ == "step"     ? bench_step(config, options_)
                                           : stage_ == "loader" ? bench_loader(config, options_)
                                                                : bench_decode(config, options_);
    if (figures.is_null() || json_.empty()) return 0;
    const std::string text = json_text(figures, 2) + "\n";
    if (json_ == standard_output) {
      write_output(text);
    } else {
      write_output_file(json_, text, "bench");
    }
    return 0;
  }

 private:
  std::string stage_;
  std::string json_;
  BenchOptions options_;
};

const CommandRegistry::Registration registered{"bench", "measure the training step, the loader, or decoding",
                                               [] { return std::make_unique<BenchCommand>(); }, __FILE__};

}  // namespace

Spread spread_of(std::vector<double> rounds) {
  std::sort(rounds.begin(), rounds.end());
  const std::size_t middle = rounds.size() / 2;
  const double median = rounds.size() % 2 == 1 ? rounds[middle] : (rounds[middle - 1] + rounds[middle]) / 2;
  return {.median = median, .least = rounds.front(), .most = rounds.back()};
}

nlohmann::ordered_json spread_json(const std::vector<double>& rounds) {
  const Spread spread = spread_of(rounds);
  return {{"median", spread.median}, {"least", spread.least}, {"most", spread.most}, {"rounds", rounds}};
}

std::string rates_text(const std::vector<double>& rates, const std::string& unit) {
  const Spread spread = spread_of(rates);
  return fmt::format("{} {} ({} to {} in {})", rate_text(spread.median), unit, rate_text(spread.least),
                     rate_text(spread.most), count_of(rates.size(), "round"));
}

void take_turns(const std::function<double(std::int64_t)>& run, bool answers) {
  for (std::string line; std::getline(std::cin, line);) {
    std::int64_t steps = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), steps);
    if (error != std::errc() || end != line.data() + line.size() || steps < 1 || steps > most_steps) {
      throw UsageError("bench", "--turns: standard input has the line '{}'; allowed: a number of steps from 1 to {}",
                       printable(line), most_steps);
    }
    const double seconds = run(steps);
    if (!answers) continue;
    print("{}\n", seconds);
    flush_output();
  }
}

void bench_row(const BenchOptions& options, const std::string& name, const std::string& value) {
  if (options.quiet) return;
  print("  {:<15}{}\n", name, value);
  flush_output();
}

}  // namespace trainyard
