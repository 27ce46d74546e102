// Compares the schedule plateau with PyTorch's ReduceLROnPlateau, on random results that improve ever more rarely.

#include <cmath>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

#include "optim/schedule.h"
#include "parity/parity.h"

namespace trainyard {
namespace {

constexpr int epochs = 200;
constexpr double peak = 0.3;

struct Case {
  const char* name;
  std::string flags;
  bool higher_is_better = true;

  ScheduleConfig config() const { return configured("--schedule.name plateau " + flags).schedule; }
};

std::vector<Case> cases() {
  return {
      {"defaults", ""},
      {"lower_is_better", "", /*higher_is_better=*/false},
      {"impatient", "--schedule.plateau.patience 0 --schedule.plateau.factor 0.9"},
      {"threshold", "--schedule.plateau.patience 3 --schedule.plateau.threshold 0.05", /*higher_is_better=*/false},
      {"final", "--schedule.plateau.patience 2 --schedule.plateau.factor 0.5 --schedule.plateau.final 0.01"},
  };
}

// Positive, because PyTorch takes a value that stays below zero for an ever better one. Some epochs have no result.
std::vector<double> results(const Case& c) {
  std::mt19937_64 random(11);
  std::normal_distribution<double> noise(0, 0.02);
  std::vector<double> values;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const double loss = 0.2 + std::exp(-epoch / 20.0) + std::abs(noise(random));
    values.push_back(epoch % 17 == 5 ? std::nan("") : c.higher_is_better ? 1 / loss : loss);
  }
  return values;
}

nlohmann::json options_of(const Case& c) {
  const Config config = configured("--schedule.name plateau " + c.flags);
  const auto number = [&](const std::string& key) { return setting_value<double>(config, "schedule.plateau." + key); };
  nlohmann::json values = nlohmann::json::array();
  for (const double value : results(c)) values.push_back(std::isnan(value) ? nlohmann::json() : nlohmann::json(value));
  return {{"name", c.name},
          {"lr", peak},
          {"mode", c.higher_is_better ? "max" : "min"},
          {"factor", number("factor")},
          {"patience", setting_value<int>(config, "schedule.plateau.patience")},
          {"threshold", number("threshold")},
          {"min_lr", number("final") * peak},
          {"results", values}};
}

TEST(Parity, PlateauGivesTheRatesOfPyTorchsReduceLROnPlateau) {
  const TempDir dir;
  nlohmann::json options = nlohmann::json::array();
  for (const Case& c : cases()) options.push_back(options_of(c));
  const Outcome python = run_cases("plateau.py", dir, options);
  ASSERT_EQ(python.exit_code, 0) << python.output;
  const auto rates = nlohmann::json::parse(std::ifstream(dir / "rates.json"));
  for (const Case& c : cases()) {
    const std::vector<double> expected = rates.at(c.name);
    ASSERT_EQ(std::ssize(expected), epochs);
    const ValHistory history{.higher_is_better = c.higher_is_better, .values = results(c)};
    for (int epoch = 0; epoch < epochs; ++epoch) {
      ASSERT_EQ(learning_rate(c.config(), peak, epoch, 1, epochs, history), expected[epoch]) << c.name << epoch;
    }
    EXPECT_LT(expected.back(), peak / 5) << c.name << " reduces";
  }
}

}  // namespace
}  // namespace trainyard
