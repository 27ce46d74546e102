/// Reads the names of the images that `predict` classifies.
#pragma once

#include <climits>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands/line_reader.h"

namespace trainyard {

/// Reads names from an open file or pipe as they arrive: lines (util/text_lines.h), or, if the first bytes to arrive
/// contain a zero byte, zero-terminated names of arbitrary bytes (find -print0). Empty names are skipped.
class NameReader {
 public:
  /// Calls `before_read` before each read of the file, which may block until more is written.
  explicit NameReader(
      int file, std::function<void()> before_read = [] {})
      : lines_(file, "name", PATH_MAX, std::move(before_read)) {}

  /// Returns the next name, or none at the end. Throws RunError "predict" if the file cannot be read, if a name is
  /// longer than a path may be, or if all names are empty.
  std::optional<std::string> next();

 private:
  std::optional<std::string> next_raw();

  LineReader lines_;
  std::optional<char> end_;  ///< of each name; none: no byte has arrived yet
};

struct ImagesBelow {
  std::vector<std::string> files;                           ///< sorted; includes unsupported formats, e.g. TIFF
  std::vector<std::pair<std::string, std::string>> errors;  ///< unreadable parts: the path, and why
};

/// The files below `folder` with the extension of an image format. Follows links, but not in cycles; skips litter
/// (datasets/litter.h).
ImagesBelow images_below(const std::string& folder);

}  // namespace trainyard
