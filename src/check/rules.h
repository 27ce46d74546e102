/// The rules behind diagnose.h: one function per failure. A rule takes the facts and the needs and returns a finding,
/// or nothing if its failure is absent. The tables give each rule its code; see docs/troubleshooting.md. An unknown
/// fact is left out of a finding's texts, never printed as 0 or as an empty string.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check/diagnose.h"
#include "check/remedy.h"
#include "util/size_text.h"

namespace trainyard::rules {

/// The table fills in code and subject.
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

/// Why no GPU can be used at all; the first rule that applies is the cause. Not tried for device "cpu". In this order:
/// messages of the container engine, no GPU or driver here, a driver that does not start.
std::span<const Rule> engine();
std::span<const Rule> missing_gpu();
std::span<const Rule> failing_driver();
/// Why this GPU cannot be used; the first rule that applies is the cause.
std::span<const DeviceRule> broken_gpu();
/// Other findings about this GPU; all that apply.
std::span<const DeviceRule> gpu_state();
/// Findings about several GPUs together; all that apply. Not tried for device "cpu".
std::span<const Rule> gpu_group();
/// Environment variables that change which GPUs CUDA shows, its speed or its results; all that apply. Not tried for
/// device "cpu".
std::span<const Rule> environment();
/// Everything but the GPU; all that apply.
std::span<const Rule> host();

/// With less free memory than this a GPU is out of memory: a context, cuBLAS and cuDNN need most of it.
inline constexpr std::uint64_t least_free_memory = 512ull << 20;

/// The `device` of a probe that holds a message of the container engine.
inline constexpr const char* engine_device = "engine";

/// The `device` of a probe that says how the start of CUDA's driver failed.
inline constexpr const char* driver_device = "driver";

inline Finding finding(Severity severity, std::string what, std::string why, std::string remedy) {
  return {severity, "", "", std::move(what), std::move(why), std::move(remedy), {}, {}};
}

inline Finding finding(Severity severity, std::string what, std::string why, const Remedy& remedy) {
  return {severity, "", "", std::move(what), std::move(why), remedy.words(), remedy.changes(), {}};
}

/// The value of an environment variable; nullptr if it is not set.
const std::string* variable(const Facts& facts, const std::string& name);

/// Whether `text` contains `words`, ignoring case: programs quote each other in either case.
bool contains(std::string_view text, std::string_view words);

/// Whether the message of a probe in this program contains `words`.
bool probe_message_contains(const Facts& facts, std::string_view words);

/// Whether the container engine's message contains `words`.
bool engine_message_contains(const Facts& facts, std::string_view words);

/// Whether `message` is from the container engine, i.e. from before a process ran in the container.
bool is_of_engine(std::string_view message);

/// Whether cuInit returned `code` or a probe's message contains `words`.
bool cuda_error(const Facts& facts, int code, std::string_view words);

/// ": " and the start of another program's message; empty if there is none.
std::string quoted_message(std::string_view words);

/// Whether this machine shows signs of a GPU, so that the reason for its absence matters.
bool gpu_on_host(const Facts& facts);

/// Whether CUDA shows no GPU although the machine has one or the device names one.
bool missed(const Facts& facts, const Needs& needs);

/// The number of device files nvidia0, nvidia1, ...
int gpu_nodes(const Facts& facts);

/// "python 4711 holds 20.0 GiB, process 4712 holds 8.0 GiB": the largest first, at most five.
std::string processes_text(std::vector<ProcessFacts> processes);

/// " (LD_LIBRARY_PATH=...)", empty if it is not set.
std::string library_path(const Facts& facts);

/// The driver's version from NVML, else that of its kernel module; empty: unknown.
std::string driver_version(const Facts& facts);

/// The first number in a version: 13 of "13.0"; 0 if there is none.
int major_of(std::string_view version);

/// -1, 0 or 1: `a` is older than, equal to or newer than `b`. Compares number by number: "9.2" is older than "9.10".
int compare_versions(std::string_view a, std::string_view b);

/// NVML's facts about a device; nullptr if there are none.
const CardFacts* card_of(const Facts& facts, const DeviceFacts& device);

/// The indices in "cuda:N" or "cuda:N,M"; empty for any other device.
std::vector<int> listed_devices(const Needs& needs);

/// Whether the GPU with this index may be used: it is listed, or there is no list that excludes it.
bool is_wanted(const Needs& needs, int index);

}  // namespace trainyard::rules
