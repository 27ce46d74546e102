/// The rules behind diagnose.h: one function a failure. A rule sees the facts and the needs and returns a finding, or
/// nothing where its failure is not there. The tables give each rule its code; see docs/troubleshooting.md.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "check/diagnose.h"

namespace trainyard::rules {

/// Code and subject are filled in from the table.
using Result = std::optional<Finding>;

struct Rule {
  const char* code;
  const char* subject;
  Result (*apply)(const Facts&, const Needs&);
};

struct DeviceRule {
  const char* code;
  Result (*apply)(const Facts&, const Needs&, const DeviceFacts&);
};

/// Why there is no GPU to be used at all; the first that applies is the cause. Not tried for device "cpu".
std::span<const Rule> missing_gpu();
/// Why this GPU cannot be used; the first that applies is the cause.
std::span<const DeviceRule> broken_gpu();
/// What else is to be said of this GPU; all that apply.
std::span<const DeviceRule> gpu_state();
/// What several GPUs do together; all that apply. Not tried for device "cpu".
std::span<const Rule> gpu_group();
/// Everything but the GPU; all that apply.
std::span<const Rule> host();

/// With less than this a GPU is out of memory: a context, cuBLAS and cuDNN take most of it.
inline constexpr std::uint64_t least_free_memory = 512ull << 20;

inline Finding finding(Severity severity, std::string what, std::string why, std::string remedy) {
  return {severity, "", "", std::move(what), std::move(why), std::move(remedy), {}};
}

/// "1.5 GiB", "64.0 MiB", "512 B".
std::string size_text(std::uint64_t bytes);

/// The value of an environment variable, nullptr where it is not set.
const std::string* variable(const Facts& facts, const std::string& name);

/// True where a probe's message contains `words`.
bool said(const Facts& facts, std::string_view words);

/// True where cuInit gave `code` or a probe's message contains `words`.
bool cuda_error(const Facts& facts, int code, std::string_view words);

/// "python 4711 holds 20.0 GiB, process 4712 holds 8.0 GiB": the largest first, at most five.
std::string processes_text(std::vector<ProcessFacts> processes);

/// " (LD_LIBRARY_PATH=...)", empty where it is not set.
std::string library_path(const Facts& facts);

/// The first number in a version: 13 of "13.0"; 0 where there is none.
int major_of(std::string_view version);

/// -1, 0 or 1: `a` is older than, as old as, newer than `b`. Compares number by number, "9.2" is older than "9.10".
int compare_versions(std::string_view a, std::string_view b);

/// What NVML says of a device, nullptr where it says nothing.
const CardFacts* card_of(const Facts& facts, const DeviceFacts& device);

/// The index in "cuda:N", nullopt for anything else.
std::optional<int> wanted_index(const Needs& needs);

}  // namespace trainyard::rules
