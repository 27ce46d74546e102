/// Reads lines from an open file or pipe as they arrive, byte for byte.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace trainyard {

class LineReader {
 public:
  /// `what` is a line's content, for errors: "name", "prompt". A line has at most `longest` bytes. Calls `before_read`
  /// before each read of the file, which may block until more is written.
  LineReader(
      int file, std::string what, std::size_t longest, std::function<void()> before_read = [] {})
      : file_(file), what_(std::move(what)), longest_(longest), before_read_(std::move(before_read)) {}

  /// Returns the next line without its `end`, or none at the end; an empty line is a line. Throws RunError "predict" if
  /// the file cannot be read or a line is too long.
  std::optional<std::string> next(char end = '\n');

  /// Returns the bytes that have arrived and are in no line yet, waiting for some if there are none. Empty at the end.
  std::span<const char> arrived();

 private:
  bool fill();

  int file_;
  std::string what_;
  std::size_t longest_;
  std::function<void()> before_read_;
  std::array<char, std::size_t{64} << 10> buffer_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace trainyard
