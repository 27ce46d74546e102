#include "commands/line_reader.h"

#include <algorithm>

#include <unistd.h>

#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {

bool LineReader::fill() {
  before_read_();
  const ssize_t count = retry_on_eintr([&] { return read(file_, buffer_.data(), buffer_.size()); });
  check_call(count, "predict", "read", "the " + what_ + "s on standard input");
  begin_ = 0;
  end_ = static_cast<std::size_t>(count);
  return count > 0;
}

std::span<const char> LineReader::arrived() {
  if (begin_ == end_) fill();
  return {buffer_.data() + begin_, end_ - begin_};
}

std::optional<std::string> LineReader::next(char end) {
  std::string line;
  while (begin_ < end_ || fill()) {
    const char* const first = buffer_.data() + begin_;
    const char* const last = buffer_.data() + end_;
    const char* const ended = std::find(first, last, end);
    line.append(first, ended);
    begin_ = static_cast<std::size_t>(ended - buffer_.data()) + (ended < last ? 1 : 0);
    if (line.size() > longest_) {
      throw RunError("predict", "a {} on standard input is longer than {} bytes: {}", what_, longest_,
                     printable(line, 80));
    }
    if (ended < last) return line;
  }
  if (line.empty()) return std::nullopt;
  return line;
}

}  // namespace trainyard
