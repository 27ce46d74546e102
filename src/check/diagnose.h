/// From facts to findings: what is wrong with this machine for this run, why, and the command that mends it.
/// Pure: no system call, no clock, no device; so every failure on every card is a table test.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

enum class Severity { note, warning, error };

/// A state of the machine or of the run that a remedy asks for; remedy.h lists the keys.
struct Change {
  std::string key;
  std::string value;
};

struct Finding {
  Severity severity = Severity::note;
  std::string code;             ///< stable, e.g. "gpu-too-old"; its row is in docs/troubleshooting.md
  std::string subject;          ///< the line of the table it belongs to: "gpu", "driver", "libtorch", "memory", ...
  std::string what;             ///< what is the matter, with the numbers
  std::string why;              ///< the cause
  std::string remedy;           ///< what to do; never empty
  std::vector<Change> changes;  ///< what the remedy would change, as far as the facts can tell whether it was
  std::vector<int> devices;     ///< the GPUs it is about, as N of cuda:N; empty: none in particular
};

/// All findings, errors first, then warnings, then notes; within these the causes of a missing GPU first.
/// Of the causes that explain why there is no GPU, and of those that explain why one device does not work, only the
/// first of each is given: the others follow from it.
/// A GPU that does not work is an error where `needs.device` asks for it, a warning where it is "auto" (the CPU is
/// there), and nothing where it is "cpu". A machine without any sign of a GPU is healthy for "auto".
std::vector<Finding> diagnose(const Facts& facts, const Needs& needs);

/// Indices of the GPUs that can be trained on: visible, served by the compiled architectures, no failed probe.
std::vector<int> usable_devices(const Facts& facts, const Needs& needs);

/// What the rules say of an error in its own words: one that came up later, e.g. during training on `device`
/// ("cuda:N"), or a line that somebody pasted. The facts are from before it; their probes are left aside. Words of the
/// container engine (Docker, Podman, nvidia-container-cli) are judged by the rules about the host, which know nothing
/// of the facts but the kind of machine. Returns nullopt if no rule knows the words, and they are not of CUDA, one of
/// its libraries or the engine.
std::optional<Finding> explain_error(Facts facts, Needs needs, const std::string& device, const std::string& message);

/// One line: what, why, the remedy, and the code in brackets at its end.
std::string sentence(const Finding& finding);

/// The codes of all rules, in the order they are tried.
std::vector<std::string> finding_codes();

}  // namespace trainyard
