/// Renders the report: one self-contained HTML page. page.css and page.js are compiled in; page.js draws it.
#pragma once

#include <string>
#include <vector>

#include "report/run_record.h"

namespace trainyard {

/// A run to show on the page.
struct RunReport {
  RunRecord record;
  nlohmann::json evaluation;  ///< to_json(CheckpointEvaluation), each of `worst` with an "image"; null: none
  std::string note;           ///< why there is none
};

/// The page for one run, or for several side by side. No text in `runs` can become markup or script. `created` is shown
/// verbatim.
std::string report_page(const std::vector<RunReport>& runs, const std::string& created);

/// A data URL (RFC 2397) of an image file's bytes.
std::string png_url(const std::string& file);

}  // namespace trainyard
