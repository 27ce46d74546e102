#include "check/render.h"

#include <algorithm>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "check/machines.h"

namespace trainyard {
namespace {

CheckResult result_of(Facts facts, const std::string& device = "auto") {
  Needs needs;
  needs.device = device;
  needs.precision = "bf16";
  needs.shared_memory = 100 << 20;
  return judge(std::move(facts), needs);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

Facts troubled() {
  Facts facts = machines::docker();
  facts.shared_memory.free = facts.shared_memory.size = 64 << 20;
  facts.driver.cards[0].ecc_uncorrected = 2;
  facts.environment["LD_LIBRARY_PATH"] = std::string(300, 'x') + ":/usr/local/nvidia/lib";
  facts.devices[0].name = "NVIDIA with a long name, with é and words that go on and on and on until the line is full";
  facts.folders[0].path = std::string(120, 'p');
  return facts;
}

TEST(Render, TheVerdictIsTheLastLine) {
  EXPECT_EQ(lines_of(render_full(result_of(machines::docker()))).back(), "ready: cuda:0 NVIDIA H200, bf16");
  EXPECT_EQ(lines_of(render_full(result_of(machines::cpu_only()))).back(), "ready: cpu, 8 cores");
  EXPECT_EQ(verdict(result_of(machines::cpu_only(), "cuda")),
            "not ready: train.device = cuda, and this machine has no NVIDIA GPU (no-gpu)");
}

TEST(Render, LinesFillTheWidthAndFitIt) {
  for (const std::size_t width : {40, 80, 120}) {
    std::size_t longest = 0;
    for (const Facts& facts : {troubled(), machines::with_gpus(8), machines::container_without_gpu()}) {
      const auto result = result_of(facts);
      for (const std::string& line :
           lines_of(render_full(result, {.columns = width}) + render_full(result, {.verbose = true, .columns = width}) +
                    render_short(result, {.columns = width}))) {
        const auto columns = std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; });
        longest = std::max(longest, static_cast<std::size_t>(columns));
        EXPECT_LE(static_cast<std::size_t>(columns), width) << line;
      }
    }
    EXPECT_GT(longest, width - 10);
  }
}

TEST(Render, LongVariablesAreCutUnlessAllIsAskedFor) {
  Facts facts = machines::docker();
  facts.environment["NVIDIA_REQUIRE_CUDA"] = std::string(1'000, 'x') + "end";
  EXPECT_EQ(render_full(result_of(facts)).find("end"), std::string::npos);
  EXPECT_NE(render_full(result_of(facts)).find("1003 characters"), std::string::npos);
  EXPECT_NE(render_full(result_of(facts), {.verbose = true}).find("end"), std::string::npos);
}

TEST(Render, ALongVariableIsNotCutWithinACharacter) {
  for (std::size_t before = 190; before < 210; ++before) {
    Facts facts = machines::docker();
    facts.environment["LD_LIBRARY_PATH"] = std::string(before, 'x') + "\u00e9\u20ac" + std::string(500, 'y');
    const nlohmann::json text = render_full(result_of(facts));
    EXPECT_NO_THROW(text.dump()) << before;  // throws unless the text is valid UTF-8
  }
}

TEST(Render, ColoursOnlyWhenAsked) {
  const auto result = result_of(troubled());
  EXPECT_EQ(render_full(result).find('\033'), std::string::npos);
  EXPECT_EQ(render_short(result).find('\033'), std::string::npos);
  EXPECT_NE(render_full(result, {.colour = true}).find("\033[31m"), std::string::npos);
}

TEST(Render, TheShortFormOfAHealthyMachineHasThreeLines) {
  EXPECT_EQ(lines_of(render_short(result_of(machines::docker()))).size(), 3u);
}

TEST(Render, AFindingIsGivenWithCauseAndRemedyAndMarksItsLine) {
  const std::string text = render_full(result_of(troubled()));
  EXPECT_NE(text.find("x shared memory"), std::string::npos) << text;
  EXPECT_NE(text.find("! cuda:0"), std::string::npos) << text;
  EXPECT_NE(text.find("error [shared-memory-small]"), std::string::npos) << text;
  EXPECT_NE(text.find("fix: start the container with `--shm-size="), std::string::npos) << text;
}

TEST(Render, ExitCodesFollowTheFindings) {
  EXPECT_EQ(exit_code(result_of(machines::docker())), ExitCode::done);
  EXPECT_EQ(exit_code(result_of(machines::container_without_gpu())), ExitCode::done);
  EXPECT_EQ(exit_code(result_of(machines::container_without_gpu(), "cuda")), ExitCode::machine_not_fit);
}

}  // namespace
}  // namespace trainyard
