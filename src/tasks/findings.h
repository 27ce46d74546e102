/// What eval, predict and the report show of a task beside its metrics.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "images/encode_png.h"
#include "images/image.h"

namespace trainyard {

/// A sample that eval and the report show.
struct ShownSample {
  std::uint64_t index;             ///< in the split
  std::string caption;             ///< "is cat, taken for dog (98.1 %)"
  nlohmann::ordered_json figures;  ///< keys and values for --json
  Image picture{};                 ///< for the report; empty: none
};

/// What eval and the report show beside the metrics.
struct Findings {
  /// For each class (or whatever the rows are) an object with "name" and figures: a table. Empty: none.
  nlohmann::ordered_json classes;
  std::string ranked_by;  ///< the figure of `classes` by which a long table begins with the worst
  /// [{"label", "guess", "samples"}], indices of classes; empty: none.
  nlohmann::ordered_json confusion;
  /// For each target of a regression its name, "r2", "mae" and "rmse", some samples' "truth" and "prediction", and of
  /// all "errors" how many "samples" lie in equal intervals from "low" to "high". Empty: none.
  nlohmann::ordered_json targets;
  std::string unit = "images";     ///< what the table and the confusion count
  std::string worst_title;         ///< "most wrong"
  std::vector<ShownSample> worst;  ///< the worst first
  std::vector<std::string> texts;  ///< what a language model writes
};

/// What predict says of one input.
struct Prediction {
  std::string text;             ///< lines for people, without the input's name
  nlohmann::ordered_json json;  ///< keys and values for --json
  Image picture{};              ///< to be written as a PNG file; empty: none
  Palette palette{};            ///< the colours of the values of `picture`, a mask; empty: it has its own
};

}  // namespace trainyard
