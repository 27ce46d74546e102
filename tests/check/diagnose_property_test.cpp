// Diagnoses random facts: values of every type in every field.

#include <algorithm>
#include <regex>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "check/check.h"
#include "check/facts_json.h"
#include "check/machines.h"
#include "check/remedy.h"
#include "check/render.h"
#include "util/random.h"

namespace trainyard {
namespace {

using Json = nlohmann::json;

// Returns a random value for a field of this type: empty, ordinary, extreme, or words that the rules search for.
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
                         "all-reduce 256 MiB",
                         "NET",
                         "copy 0>1",
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

// Changes about one field in `rarity`; arrays also lose and duplicate elements.
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
    needs.keeps_samples = random.below(2) == 0;
    needs.threads = static_cast<int>(random.below(40));
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
    // A GPU selected by name either works or gets an error with the reason.
    if (needs.device.starts_with("cuda") && usable_devices(facts, needs).empty()) {
      EXPECT_EQ(exit_code(result), ExitCode::machine_not_fit) << json;
    }
    EXPECT_FALSE(render_full(result, {.colour = true, .verbose = true}).empty());
    EXPECT_EQ(render_short(result).find('\033'), std::string::npos);
    EXPECT_FALSE(to_json_text(result).empty());
  }
}

// From nearly correct to almost entirely wrong.
INSTANTIATE_TEST_SUITE_P(Diagnose, RandomFacts, testing::Values(300, 60, 12, 3, 2),
                         [](const auto& rarity) { return "OneFieldIn" + std::to_string(rarity.param); });

// Resets about one fact in `rarity` to unknown: an empty string, false, 0, null or an empty list.
void forget(Json& json, RandomStream& random, std::uint64_t rarity) {
  for (auto& [key, element] : json.items()) {
    if (element.is_structured()) {
      if (element.is_array() && random.below(4 * rarity) == 0) element.clear();
      forget(element, random, rarity);
    } else if (random.below(rarity) == 0) {
      element = element.is_string()    ? Json("")
                : element.is_boolean() ? Json(false)
                : element.is_number()  ? Json(0)
                                       : Json(nullptr);
    }
  }
}

// A limit of 0 is a valid limit; an unknown one is null. The same holds for the free bytes of a disk.
void null_limits(Json& json) {
  const std::set<std::string> keys = {"memory_limit", "processes_limit", "open_files", "open_files_most",
                                      "memlock",      "processes",       "stack",      "address_space"};
  for (auto& [key, element] : json.items()) {
    if (element.is_structured()) {
      null_limits(element);
    } else if (element == 0 && (keys.contains(key) || (key == "free" && json.contains("purpose")))) {
      element = nullptr;
    }
  }
}

// Sets random numbers and errors with CUDA's messages, which trigger most rules.
void disturb(Json& json, RandomStream& random, std::uint64_t rarity) {
  for (auto& [key, element] : json.items()) {
    if (element.is_structured()) {
      disturb(element, random, rarity);
    } else if (!element.is_string() && !element.is_number_float() && key != "index" && random.below(rarity) == 0) {
      element = random_value(element, random);
    } else if (key == "outcome" && random.below(rarity) == 0) {
      const char* outcomes[] = {"error", "wrong", "hung", "crashed"};
      element = outcomes[random.below(4)];
    } else if (key == "message" && random.below(rarity) == 0) {
      const char* words[] = {"CUDA out of memory",     "no kernel image",    "unspecified launch failure",
                             "undefined symbol",       "device-side assert", "illegal memory access",
                             "named symbol not found", "NCCL error"};
      element = words[random.below(std::size(words))];
    }
  }
  if (json.contains("environment") && random.below(2) == 0) {
    const char* names[] = {
        "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH",      "CUDA_LAUNCH_BLOCKING", "NCCL_P2P_DISABLE",
        "LD_PRELOAD",           "NVIDIA_TF32_OVERRIDE", "NCCL_DEBUG",           "NVIDIA_VISIBLE_DEVICES"};
    const char* values[] = {"1", "", "0", "WARN", "0,7", "/x/stubs"};
    json["environment"][names[random.below(std::size(names))]] = values[random.below(std::size(values))];
  }
}

Needs random_needs(RandomStream& random) {
  const char* devices[] = {"auto", "cpu", "cuda", "cuda:0", "cuda:1"};
  const char* precisions[] = {"fp32", "tf32", "bf16", "fp16"};
  const std::uint64_t sizes[] = {0, 1, 100 << 20, 1ull << 40};
  Needs needs;
  needs.device = devices[random.below(std::size(devices))];
  needs.precision = precisions[random.below(std::size(precisions))];
  needs.workers = static_cast<int>(random.below(40));
  needs.batch_size = static_cast<int>(random.below(3));
  needs.keeps_samples = random.below(2) == 0;
  needs.threads = static_cast<int>(random.below(40));
  needs.shared_memory = sizes[random.below(4)];
  needs.memory = sizes[random.below(4)];
  return needs;
}

CheckResult random_result(RandomStream& random, std::uint64_t rarity) {
  const auto all = bases();
  Json json = facts_to_json(all[random.below(all.size())]);
  json.erase("schema");
  disturb(json, random, 12);
  forget(json, random, rarity);
  null_limits(json);
  json["schema"] = facts_schema;
  return judge(recorded_from_json(json.dump()).facts, random_needs(random));
}

class MissingFacts : public testing::TestWithParam<std::uint64_t> {};

TEST_P(MissingFacts, AreLeftOutOfAllThatIsShown) {
  // Matches text that prints a missing fact.
  const std::regex anywhere(
      R"(0 B free of 0 B|(^|[^0-9.])0 B(?! free)|driver 0\b|CUDA 0\b|up to 0\.|\b0 cores|for none|capability 0\.)"
      R"(|''|""|\(\)|=00\b|\bx0\b|\b0\.0 GB|\b0 °C|of 0 W|: [;,)]|; [;,)]|, [;,)]|= (has|cannot|does|and)|\bnan\b|\bnone holds)");
  const std::regex in_sentence(R"(  |^ | $|[:=]$|= ?;|\( )");
  RandomStream random(GetParam());
  for (int i = 0; i < 120; ++i) {
    const CheckResult result = random_result(random, GetParam());
    const std::string shown = render_full(result, {.verbose = i % 2 == 0}) + render_short(result) + verdict(result);
    std::smatch match;
    ASSERT_FALSE(std::regex_search(shown, match, anywhere)) << '"' << match.str() << "\" in\n" << shown;
    for (const Finding& finding : result.findings) {
      for (const std::string& text : {finding.what, finding.why, finding.remedy}) {
        ASSERT_FALSE(std::regex_search(text, match, in_sentence)) << finding.code << ": '" << text << "'";
        ASSERT_FALSE(std::regex_search(text, match, anywhere)) << finding.code << ": " << text;
      }
    }
  }
}

TEST_P(MissingFacts, SuggestNoRemedyThatIsAlreadyApplied) {
  // A rule that gives one of these remedies must list the key in what it changes.
  const struct {
    const char* words;
    const char* key;
  } phrases[] = {{"--train.device ", "train.device"},
                 {"--train.precision ", "train.precision"},
                 {"--loader.batch_size", "loader.batch_size"},
                 {"--train.threads ", "train.threads"},
                 {"--loader.cache", "loader.cache"},
                 {"--loader.workers", "loader.workers"},
                 {"--ipc=host", "container.ipc"},
                 {"--shm-size", "shared_memory"},
                 {"remount,size", "shared_memory"},
                 {"LibTorch for CUDA", "libtorch.cuda"},
                 {"install driver ", "driver"},
                 {"update the driver to", "driver"},
                 {"out of LD_LIBRARY_PATH", "env.LD_LIBRARY_PATH"},
                 {"unset ", "env."},
                 {"CUDA_LAUNCH_BLOCKING=1", "env.CUDA_LAUNCH_BLOCKING"},
                 {"NCCL_P2P_DISABLE=1", "env.NCCL_P2P_DISABLE"},
                 {"NCCL_DEBUG=", "env.NCCL_DEBUG"},
                 {"ulimit -n", "limits.open_files"},
                 {"ulimit -u", "limits.processes"},
                 {"ulimit -v", "limits.address_space"}};
  RandomStream random(GetParam() + 1);
  std::set<std::string> seen;
  for (int i = 0; i < 500; ++i) {
    const CheckResult result = random_result(random, GetParam());
    for (const Finding& finding : result.findings) {
      for (const Change& change : finding.changes) {
        EXPECT_FALSE(already_applied(change, result.facts, result.needs))
            << finding.code << ": " << change.key << finding.remedy;
      }
      for (const auto& [words, key] : phrases) {
        if (finding.remedy.find(words) == std::string::npos) continue;
        seen.insert(key);
        EXPECT_TRUE(std::any_of(finding.changes.begin(), finding.changes.end(),
                                [&, prefix = key](const Change& change) { return change.key.starts_with(prefix); }))
            << finding.code << ": " << finding.remedy;
      }
      EXPECT_FALSE(finding.remedy.empty()) << finding.code;
    }
  }
  if (GetParam() > 10) {
    EXPECT_GT(seen.size(), 10u);
  }
}

INSTANTIATE_TEST_SUITE_P(Diagnose, MissingFacts, testing::Values(1000, 40, 10, 4, 2),
                         [](const auto& rarity) { return "OneFactIn" + std::to_string(rarity.param); });

}  // namespace
}  // namespace trainyard
