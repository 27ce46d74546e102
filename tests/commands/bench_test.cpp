#include "commands/bench.h"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/image_files.h"
#include "support/prints.h"
#include "support/processes.h"
#include "support/ranks.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "util/system.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;
using testing::StartsWith;

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string word; stream >> word;) result.push_back(word);
  return result;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> result;
  for (std::string line; std::getline(stream, line);) result.push_back(line);
  return result;
}

// Returns `trainyard bench` with two short rounds, on synthetic images unless `flags` select other data.
std::vector<std::string> bench(const std::string& flags) {
  std::vector<std::string> command = words(TRAINYARD_BINARY " bench " + flags);
  std::vector<std::string> others = words("--rounds 2 --seconds 0 --loader.batch_size 16 --train.device cpu");
  if (flags.find("--data.name") == std::string::npos) {
    const auto data = words("--data.name synthetic --data.synthetic.shape 16,16,3 --data.synthetic.samples 200");
    others.insert(others.end(), data.begin(), data.end());
  }
  for (std::size_t i = 0; i < others.size(); i += 2) {
    if (std::find(command.begin(), command.end(), others[i]) != command.end()) continue;
    command.insert(command.end(), {others[i], others[i + 1]});
  }
  return command;
}

Outcome run_bench(const std::string& flags) { return run_program(bench(flags)); }

// Runs the command with the given standard input.
Outcome run_turns(const std::string& input) {
  std::string command;
  for (const std::string& word : bench("step --turns")) command += " '" + word + "'";
  return run_program({"sh", "-c", "printf '" + input + "' | " + command});
}

void expect_narrow(const std::string& output) {
  for (const std::string& line : lines_of(output)) EXPECT_LE(line.size(), 80u) << line;
}

nlohmann::json parsed(const std::string& text) { return nlohmann::json::parse(text, nullptr, false); }

void expect_spread(const nlohmann::json& spread) {
  EXPECT_EQ(spread["rounds"].size(), 2u);
  EXPECT_GT(spread["least"], 0);
  EXPECT_LE(spread["least"], spread["median"]);
  EXPECT_LE(spread["median"], spread["most"]);
}

TEST(BenchRounds, AreShownAsMedianAndRange) {
  EXPECT_EQ(spread_of({3, 1, 2}).median, 2);
  EXPECT_EQ(spread_of({4, 1, 2, 9}).median, 3);
  EXPECT_EQ(rates_text({1'234'567.4, 12'345, 98.76}, "files/s"), "12,345 files/s (98.8 to 1,234,567 in 3 rounds)");
  EXPECT_EQ(rates_text({0.012345}, "samples/s"), "0.0123 samples/s (0.0123 to 0.0123 in 1 round)");
}

TEST(BenchStep, PrintsATableAndWritesTheSameAsJson) {
  const TempDir dir;
  const Outcome outcome = run_bench("step --json " + dir / "step.json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(StartsWith("  model          convnet, fp32, cpu with "), HasSubstr("\n  rate "),
                                    HasSubstr("rounds of 1 step\n"), HasSubstr("\n  memory "), HasSubstr("\n  floor "),
                                    HasSubstr("FLOP/s, the rate"), HasSubstr("\n  ms per step    convolution "),
                                    HasSubstr(" nothing runs ")));
  expect_narrow(outcome.output);
  const nlohmann::json json = parsed(read_text_file(dir / "step.json", "test"));
  EXPECT_EQ(json["model"], "convnet");
  EXPECT_EQ(json["samples_per_step"], 16);
  expect_spread(json["samples_per_second"]);
  expect_spread(json["seconds_per_step"]);
  EXPECT_GT(json["peak_memory_bytes"], 100'000);
  EXPECT_GT(json["floor"]["share"], 0);
  EXPECT_GT(json["kinds"]["convolution"], 0);
  EXPECT_GT(json["kinds"]["normalization"], 0);
  EXPECT_GT(json["kinds"]["optimizer"], 0);
  EXPECT_EQ(json["kinds"]["all-reduce"], 0);
  EXPECT_GT(json["operations"].size(), 10u);
}

TEST(BenchStep, CountsTheProductsOfAllBatchesOfAStep) {
  const auto flops = [](const std::string& flags) {
    const Outcome outcome = run_bench("step --json - --model.name linear " + flags);
    return parsed(outcome.output)["floor"]["flops_per_step"].get<double>();
  };
  EXPECT_EQ(flops(""), 2. * 2 * 16 * (16 * 16 * 3 * 10));
  EXPECT_EQ(flops("--train.accumulate 3"), 3 * flops(""));
}

TEST(BenchStep, TakesTurns) {
  const Outcome outcome = run_turns("1\\n3\\n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(lines_of(outcome.output), ElementsAre(MatchesRegex("[0-9.e-]+"), MatchesRegex("[0-9.e-]+")));
}

TEST(BenchStep, RefusesTurnsThatAreNoNumbers) {
  const Outcome outcome = run_turns("1\\n2x\\033\\n");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output,
              HasSubstr("[bench] --turns: standard input has the line '2x\\x1b'; allowed: a number of steps from 1"));
}

TEST(BenchStep, MeasuresRanksTogether) {
  const Outcome outcome = run_ranks(2, bench("step --distributed.timeout 60"));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("2 ranks"), HasSubstr(" all-reduce ")));
  EXPECT_EQ(count_of(outcome.output, "  rate "), 1) << outcome.output;
}

TEST(BenchStep, EndsAtOnceBySignals) {
  Subprocess process(bench("step --seconds 60"));
  ASSERT_TRUE(prints(process, "batch"));
  process.signal(SIGINT);
  EXPECT_EQ(process.wait().exit_code, 128 + SIGINT);
}

TEST(BenchLoader, MeasuresWorkers) {
  const TempDir dir;
  const Outcome outcome = run_bench("loader --loader.workers 2 --json " + dir / "loader.json");
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(StartsWith("  data           synthetic, 180 samples"), HasSubstr("\n  rate "),
                                    HasSubstr("\n  first batch "), HasSubstr("p99"), HasSubstr("s per 1,000 samples"),
                                    HasSubstr("\n  workers        2, busy for ")));
  expect_narrow(outcome.output);
  const nlohmann::json json = parsed(read_text_file(dir / "loader.json", "test"));
  expect_spread(json["samples_per_second"]);
  EXPECT_GT(json["first_batch_seconds"], 0);
  EXPECT_GE(json["wait_p99_seconds"], json["wait_p50_seconds"]);
  EXPECT_GT(json["pss_mib"], 1);
}

TEST(BenchLoader, ContinuesAcrossEpochsWithoutWorkers) {
  const Outcome outcome = run_bench("loader --loader.workers 0 --loader.batch_size 150 --json -");
  const nlohmann::json json = parsed(outcome.output);
  ASSERT_TRUE(json.is_object()) << outcome.output;
  EXPECT_EQ(json["workers"], 0);
  EXPECT_GT(json["busy_share"], 0) << "this process reads";
}

TEST(BenchLoader, LeavesNoProcessBehindIfASignalEndsIt) {
  Subprocess process(bench("loader --seconds 60"));
  ASSERT_TRUE(prints(process, "first batch"));
  const std::vector<pid_t> zygote = children_of(process.pid());
  ASSERT_EQ(zygote.size(), 1u);
  ASSERT_TRUE(comes_true([&] { return children_of(zygote.front()).size() == 2; }));
  const std::vector<pid_t> workers = children_of(zygote.front());
  process.signal(SIGINT);
  EXPECT_EQ(process.wait().exit_code, 128 + SIGINT);
  EXPECT_TRUE(comes_true([&] { return std::all_of(workers.begin(), workers.end(), has_ended); }));
}

TEST(BenchLoader, RefusesDataThatMakesNoBatch) {
  const Outcome outcome = run_bench("loader --loader.batch_size 500 --loader.drop_last true");
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[bench] 180 samples make no batch of 500 with loader.drop_last"));
}

class BenchDecode : public testing::Test {
 protected:
  BenchDecode() {
    for (int i = 0; i < 8; ++i) {
      const std::string name = "train/class/" + std::to_string(i);
      i < 2 ? write(name + ".png", png_file(ramp(40, 60, 3)))
            : write(name + ".jpg", jpeg_file(ramp(40, 60, 3), 90, /*progressive=*/i == 2));
    }
    write("val/class/0.png", png_file(ramp(40, 60, 3)));
  }

  void write(const std::string& name, const std::string& content) const { dir_.write(name, content); }

  Outcome run(const std::string& flags = "") const {
    return run_bench("decode --data.name image_folder --data.root " + dir_.path() +
                     " --transform.train random_resized_crop(size=16) --transform.train random_horizontal_flip " +
                     flags);
  }

 private:
  TempDir dir_;
};

TEST_F(BenchDecode, DescribesTheFilesAndMeasuresEachMode) {
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output,
              AllOf(StartsWith("  files          8 of 8: 75 % JPEG (83 % of them for the GPU), 25 % PNG\n"),
                    HasSubstr("60 x 40 pixels"), HasSubstr("\n  decode "), HasSubstr("random_resized_crop(size=16)\n"),
                    HasSubstr("\n  exact "), HasSubstr("\n  scaled ")));
  expect_narrow(outcome.output);
  const nlohmann::json json = parsed(run("--json -").output);
  EXPECT_EQ(json["files"]["jpeg_share"], 0.75);
  for (const char* rate : {"decode", "transform_exact", "transform_scaled"}) {
    expect_spread(json["files_per_second"][rate]);
  }
}

TEST_F(BenchDecode, LeavesOutDamagedFiles) {
  write("train/class/9.jpg", jpeg_file(ramp(40, 60, 3)).substr(0, 300));
  const Outcome outcome = run();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("8 of 9: "), HasSubstr("left out: 1 that cannot be decoded")));
}

TEST_F(BenchDecode, FailsIfNoFileCanBeDecoded) {
  const TempDir dir;
  const std::string file = jpeg_file(noisy_ramp(64, 64, 3));
  for (const char* name : {"train/a/0.jpg", "val/a/0.jpg"}) dir.write(name, file.substr(0, file.size() / 2));
  const Outcome outcome = run_bench("decode --data.name image_folder --data.root " + dir.path());
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("[bench] none of 1 image can be decoded; the first: [image] "),
                                    HasSubstr("truncated JPEG")));
}

TEST(Bench, RefusesWhatItCannotMeasure) {
  const TempDir dir;
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"decode", "[bench] samples of synthetic have no image files to decode, but image (uint8, 16 x 16 x 3)"},
      {"speed", "is 'speed'; allowed, nearest first: step"},
      {"step --rounds 0", "--rounds"},
      {"step --seconds -1", "--seconds"},
      {"step --steps 3", "bench has no flag '--steps'; did you mean '--"},
      {"loader --turns", "[bench] --turns is for step, not for loader"},
      {"step --turns --json -", "--json excludes --turns"},
      {"step --json " + dir.path(), "is a folder"},
      {"step --json /no/such/folder/step.json", "the folder /no/such/folder is missing or not writable"},
  };
  for (const auto& [flags, message] : cases) {
    const Outcome outcome = run_bench(flags);
    EXPECT_EQ(outcome.exit_code, 2) << flags;
    EXPECT_THAT(outcome.output, AllOf(HasSubstr(message), Not(HasSubstr("samples/s")))) << flags;
  }
  EXPECT_EQ(run_program({TRAINYARD_BINARY, "bench"}).exit_code, 2);
}

}  // namespace
}  // namespace trainyard
