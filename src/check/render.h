/// Renders the check for the terminal: a table, the findings with their remedies, and the verdict as the last line.
#pragma once

#include <cstddef>
#include <string>

#include "check/check.h"
#include "check/terminal.h"

namespace trainyard {

struct RenderOptions {
  bool colour = false;
  bool verbose = false;      ///< each probe, the cards' state, all limits, the libraries found
  std::size_t columns = 80;  ///< of the longest line
};

/// The full table, findings and verdict.
std::string render_full(const CheckResult& result, const RenderOptions& options = {});

/// Severity, code, what, why and remedy, on several lines.
std::string render_finding(const Finding& finding, const RenderOptions& options = {});

/// For the start of training: three lines (machine, LibTorch, verdict), then one or more lines per error and warning.
std::string render_short(const CheckResult& result, const RenderOptions& options = {});

/// The last line: "ready: cuda:0 NVIDIA H200, bf16", "ready: cpu, 2 cores", or "not ready: " and the first cause.
std::string verdict(const CheckResult& result);

}  // namespace trainyard
