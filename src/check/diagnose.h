/// Derives findings from facts: what is wrong with this machine for this run, why, and the command that fixes it. Pure:
/// no system calls, no clock, no device, so every failure on every GPU can be tested from a table.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "check/facts.h"

namespace trainyard {

enum class Severity { note, warning, error };

/// A property of the machine or the run that a remedy changes; remedy.h lists the keys.
struct Change {
  std::string key;
  std::string value;
};

struct Finding {
  Severity severity = Severity::note;
  std::string code;             ///< stable, e.g. "gpu-too-old"; its row is in docs/troubleshooting.md
  std::string subject;          ///< the row of the check's table: "gpu", "driver", "libtorch", "memory", ...
  std::string what;             ///< what is wrong, with the numbers
  std::string why;              ///< the cause
  std::string remedy;           ///< what to do; never empty
  std::vector<Change> changes;  ///< what the remedy would change, if the facts can tell whether it was changed
  std::vector<int> devices;     ///< the affected GPUs, as N of cuda:N; empty: none in particular
};

/// All findings: errors first, then warnings, then notes; within each, the causes of a missing GPU first. Of the causes
/// that explain why there is no GPU, and of those that explain why one device does not work, only the first is
/// reported, because the others follow from it. A GPU that does not work is an error if `needs.device` requires it, a
/// warning for "auto" (the CPU can be used), and nothing for "cpu". For "auto", a machine without any sign of a GPU is
/// healthy.
std::vector<Finding> diagnose(const Facts& facts, const Needs& needs);

/// Indices of the GPUs that can be used for training: visible, supported by the compiled architectures, no failed
/// probe.
std::vector<int> usable_devices(const Facts& facts, const Needs& needs);

/// What the rules say about an error message: one that occurred later, e.g. during training on `device` ("cuda:N"), or
/// a line that a user pasted. The facts were gathered earlier; their probes are ignored. Messages of the container
/// engine (Docker, Podman, nvidia-container-cli) are judged by rules about the host, which use none of the facts except
/// the kind of machine. Returns nullopt if no rule recognizes the message and it is not from CUDA, one of its libraries
/// or the engine.
std::optional<Finding> explain_error(Facts facts, Needs needs, const std::string& device, const std::string& message);

/// One line: what, why, the remedy, and at the end the code in brackets.
std::string sentence(const Finding& finding);

/// The codes of all rules, in the order they are tried.
std::vector<std::string> finding_codes();

}  // namespace trainyard
