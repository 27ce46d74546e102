/// The names of the pictures that `predict` classifies.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace trainyard {

/// Reads names from an open file or pipe as they come: lines (util/text_lines.h), or, if the first bytes that come hold
/// a zero byte, names of any bytes that end with one (find -print0). Empty names are skipped.
class NameReader {
 public:
  /// `before_read` is called before each read of the file, which may wait until more is written.
  explicit NameReader(
      int file, std::function<void()> before_read = [] {})
      : file_(file), before_read_(std::move(before_read)) {}

  /// The next name, none at the end. Throws RunError "predict" if the file cannot be read, for a name of more bytes
  /// than a path can have, and for a file of empty names.
  std::optional<std::string> next();

 private:
  bool fill();
  std::optional<std::string> next_raw();

  int file_;
  std::function<void()> before_read_;
  std::array<char, std::size_t{64} << 10> buffer_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  bool zero_ended_ = false;
  bool started_ = false;
};

struct PicturesBelow {
  std::vector<std::string> files;                           ///< sorted; also those that are not read, as TIFF files
  std::vector<std::pair<std::string, std::string>> errors;  ///< parts that cannot be read: the path, and why
};

/// The files below `folder` whose names end as pictures' do. Links are followed, but not in circles; litter
/// (datasets/litter.h) is passed over.
PicturesBelow pictures_below(const std::string& folder);

}  // namespace trainyard
