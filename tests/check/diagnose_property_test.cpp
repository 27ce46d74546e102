// The diagnosis of facts that nobody has thought of: random values of every type in every field.

#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "check/check.h"
#include "check/facts_json.h"
#include "check/machines.h"
#include "check/render.h"
#include "util/random.h"

namespace trainyard {
namespace {

using Json = nlohmann::json;

// What a field of this type may hold: nothing, something, the edges, and words the rules look for.
Json random_value(const Json& like, RandomStream& random) {
  const auto one_of = [&](const auto& values) { return values[random.below(std::size(values))]; };
  if (like.is_boolean()) return random.below(2) == 0;
  if (like.is_number_float()) {
    const double values[] = {0.0, 1.0, -1.0, 1e-300, 1e300, 580.5};
    return one_of(values);
  }
  if (like.is_number()) {
    const std::int64_t values[] = {0, 1, 2, 5, 9, 18, 34, 35, 100, 500, 590, 803, 999, 12'040, 2'147'483'647, 1 << 20};
    return one_of(values);
  }
  if (like.is_null()) return random.below(2) == 0 ? Json(nullptr) : Json(random.below(1u << 31));
  if (!like.is_string()) return like;
  const char* words[] = {"",
                         "0",
                         "cuda:0",
                         "cuda:1",
                         "gpus",
                         "cpu",
                         "ok",
                         "error",
                         "hung",
                         "docker",
                         "void",
                         "13.0",
                         "12.6",
                         "580.65.06",
                         "590.1",
                         "nvidia0",
                         "nvidiactl",
                         "dxg",
                         "0x1b80",
                         "0x",
                         "sm_90",
                         "sm_",
                         "compute_2147483647",
                         "sm_2147483647",
                         "copy pinned",
                         "all-reduce",
                         "peer copy",
                         "runs",
                         "data",
                         "/x/libcuda.so.1",
                         "/x/stubs/libcuda.so.560.35.03",
                         "exclusive_process",
                         "prohibited",
                         "NVRM version: Kernel Module  590.48.01  x",
                         ". . .",
                         "Tried to allocate  of which  is free",
                         "CUDA out of memory. and  is reserved by PyTorch but unallocated",
                         "no kernel image",
                         "é𝄞"};
  return one_of(words);
}

// Changes about one field in `rarity`; arrays also lose elements and get some twice.
void scramble(Json& json, RandomStream& random, std::uint64_t rarity) {
  if (json.is_array()) {
    if (!json.empty() && random.below(rarity) == 0) json.erase(random.below(json.size()));
    if (!json.empty() && random.below(rarity) == 0) json.push_back(Json(json[random.below(json.size())]));
  }
  if (json.is_structured()) {
    for (auto& element : json) scramble(element, random, rarity);
  } else if (random.below(rarity) == 0) {
    json = random_value(json, random);
  }
}

std::vector<Facts> bases() {
  return {machines::cpu_only(), machines::with_gpus(1), machines::with_gpus(3),           machines::docker(),
          machines::wsl2(),     machines::mig(),        machines::container_without_gpu()};
}

class RandomFacts : public testing::TestWithParam<std::uint64_t> {};

TEST_P(RandomFacts, AreAlwaysDiagnosedWithRemediesAndInOrder) {
  RandomStream random(GetParam());
  const auto known = finding_codes();
  const std::set<std::string> codes(known.begin(), known.end());
  for (int i = 0; i < 400; ++i) {
    const auto all = bases();
    Json json = facts_to_json(all[random.below(all.size())]);
    json.erase("schema");
    scramble(json, random, GetParam());
    json["schema"] = facts_schema;
    const Facts facts = recorded_from_json(json.dump()).facts;
    Needs needs;
    const char* devices[] = {"auto", "cpu", "cuda", "cuda:0", "cuda:1", "cuda:1023"};
    needs.device = devices[random.below(std::size(devices))];
    needs.precision = random.below(2) == 0 ? "bf16" : "fp32";
    needs.workers = static_cast<int>(random.below(300));
    needs.batch_size = static_cast<int>(random.below(600));
    const std::uint64_t sizes[] = {0, 1, 100 << 20, ~0ull};
    needs.shared_memory = sizes[random.below(4)];
    needs.memory = sizes[random.below(4)];

    const CheckResult result = judge(facts, needs);
    for (std::size_t k = 0; k < result.findings.size(); ++k) {
      const Finding& finding = result.findings[k];
      EXPECT_TRUE(codes.contains(finding.code)) << finding.code;
      EXPECT_FALSE(finding.what.empty() || finding.why.empty() || finding.remedy.empty()) << finding.code << json;
      if (k > 0) {
        EXPECT_LE(finding.severity, result.findings[k - 1].severity);
      }
    }
    // A GPU asked for by name either works or has an error that says why.
    if (needs.device.starts_with("cuda") && usable_devices(facts, needs).empty()) {
      EXPECT_EQ(exit_code(result), ExitCode::machine_not_fit) << json;
    }
    EXPECT_FALSE(render_full(result, {.colour = true, .verbose = true}).empty());
    EXPECT_EQ(render_short(result, false).find('\033'), std::string::npos);
    EXPECT_FALSE(to_json_text(result).empty());
  }
}

// From nearly healthy to hardly a true word.
INSTANTIATE_TEST_SUITE_P(Diagnose, RandomFacts, testing::Values(300, 60, 12, 3, 2),
                         [](const auto& rarity) { return "OneFieldIn" + std::to_string(rarity.param); });

}  // namespace
}  // namespace trainyard
