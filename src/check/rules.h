/// The rules behind diagnose.h: one function per failure. A rule sees the facts and the needs and returns a finding, or
/// nothing if its failure is not there. The tables give each rule its code; see docs/troubleshooting.md.
/// A fact that is not known is left out of a finding's texts, never printed as 0 or nothing.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check/diagnose.h"
#include "check/remedy.h"

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
/// In this order: the words of the container engine, no GPU or driver here, a driver that does not start.
std::span<const Rule> engine();
std::span<const Rule> missing_gpu();
std::span<const Rule> failing_driver();
/// Why this GPU cannot be used; the first that applies is the cause.
std::span<const DeviceRule> broken_gpu();
/// What else is to be said of this GPU; all that apply.
std::span<const DeviceRule> gpu_state();
/// What several GPUs do together; all that apply. Not tried for device "cpu".
std::span<const Rule> gpu_group();
/// Environment variables that change what CUDA shows, how fast it is or what it computes; all that apply. Not tried for
/// device "cpu".
std::span<const Rule> environment();
/// Everything but the GPU; all that apply.
std::span<const Rule> host();

/// With less than this a GPU is out of memory: a context, cuBLAS and cuDNN take most of it.
inline constexpr std::uint64_t least_free_memory = 512ull << 20;

/// The `device` of a probe that holds the words of the container engine.
inline constexpr const char* engine_device = "engine";

inline Finding finding(Severity severity, std::string what, std::string why, std::string remedy) {
  return {severity, "", "", std::move(what), std::move(why), std::move(remedy), {}, {}};
}

inline Finding finding(Severity severity, std::string what, std::string why, const Remedy& remedy) {
  return {severity, "", "", std::move(what), std::move(why), remedy.words(), remedy.changes(), {}};
}

/// "1.5 GiB", "64.0 MiB", "512 B".
std::string size_text(std::uint64_t bytes);

/// The value of an environment variable, nullptr if it is not set.
const std::string* variable(const Facts& facts, const std::string& name);

/// True if `text` contains `words`, upper and lower case alike: programs quote each other in either.
bool contains(std::string_view text, std::string_view words);

/// True if the message of a probe in this program contains `words`.
bool said(const Facts& facts, std::string_view words);

/// True if the container engine's words contain `words`.
bool engine_said(const Facts& facts, std::string_view words);

/// True if `message` is of the container engine, from before there is a process in the container.
bool is_of_engine(std::string_view message);

/// True if cuInit gave `code` or a probe's message contains `words`.
bool cuda_error(const Facts& facts, int code, std::string_view words);

/// ": " and the start of what another program said; empty if it said nothing.
std::string in_words(std::string_view words);

/// Why there is no GPU would matter: this machine shows signs of one.
bool gpu_on_host(const Facts& facts);

/// CUDA shows no GPU, and that matters: one is there, or asked for by name.
bool missed(const Facts& facts, const Needs& needs);

/// nvidia0, nvidia1, ... among the device files; how many.
int gpu_nodes(const Facts& facts);

/// "python 4711 holds 20.0 GiB, process 4712 holds 8.0 GiB": the largest first, at most five.
std::string processes_text(std::vector<ProcessFacts> processes);

/// " (LD_LIBRARY_PATH=...)", empty if it is not set.
std::string library_path(const Facts& facts);

/// The driver's version by NVML, else that of its kernel module; empty: not known.
std::string driver_version(const Facts& facts);

/// The first number in a version: 13 of "13.0"; 0 if there is none.
int major_of(std::string_view version);

/// -1, 0 or 1: `a` is older than, as old as, newer than `b`. Compares number by number, "9.2" is older than "9.10".
int compare_versions(std::string_view a, std::string_view b);

/// What NVML says of a device, nullptr if it says nothing.
const CardFacts* card_of(const Facts& facts, const DeviceFacts& device);

/// The indices in "cuda:N" or "cuda:N,M"; none for another device.
std::vector<int> listed_devices(const Needs& needs);

/// Whether the GPU of this index may be used: it is listed, or no list rules it out.
bool is_wanted(const Needs& needs, int index);

}  // namespace trainyard::rules
