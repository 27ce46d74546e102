/// The report: one HTML page that holds all it shows. page.css and page.js are compiled in; page.js draws it.
#pragma once

#include <string>
#include <vector>

#include "report/run_record.h"

namespace trainyard {

/// A run as the page shows it.
struct RunReport {
  RunRecord record;
  nlohmann::json evaluation;  ///< to_json(CheckpointEvaluation), each of `worst` with an "image"; null: there is none
  std::string note;           ///< why there is none
};

/// The page for one run, or for several side by side. No text in `runs` can become markup or script. `created` is
/// shown as it is.
std::string report_page(const std::vector<RunReport>& runs, const std::string& created);

/// An image file's bytes as a URL that holds them (RFC 2397).
std::string png_url(const std::string& file);

}  // namespace trainyard
