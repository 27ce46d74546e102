/// The check for a person: a table read at a glance, the findings with their remedies, the verdict last.
#pragma once

#include <string>

#include "check/check.h"
#include "check/terminal.h"

namespace trainyard {

struct RenderOptions {
  bool colour = false;
  bool verbose = false;  ///< each probe by itself, the cards' state, all limits, the libraries found
};

/// The full table, findings and verdict; every line at most 80 columns.
std::string render_full(const CheckResult& result, const RenderOptions& options = {});

/// Severity, code, what, why and remedy, over several lines.
std::string render_finding(const Finding& finding, bool colour);

/// For the start of training: three lines (machine, LibTorch, verdict), then a line or more for each error and warning.
std::string render_short(const CheckResult& result, bool colour);

/// The last line: "ready: cuda:0 NVIDIA H200, bf16", "ready: cpu, 2 cores", or "not ready: " and the first cause.
std::string verdict(const CheckResult& result);

}  // namespace trainyard
