#include "commands/image_names.h"

#include <algorithm>
#include <cctype>
#include <climits>
#include <filesystem>

#include <unistd.h>

#include "datasets/litter.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// JPEG and PNG, and image formats that cannot be read: an error reports these, instead of silence.
constexpr std::array<std::string_view, 15> image_endings{".jpg", ".jpeg", ".png",  ".avif", ".bmp",
                                                         ".gif", ".heic", ".heif", ".jfif", ".jp2",
                                                         ".pgm", ".ppm",  ".tif",  ".tiff", ".webp"};

// More in a row are not a list, but e.g. /dev/zero.
constexpr std::size_t max_empty_names = 1'000'000;

bool is_image_name(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::find(image_endings.begin(), image_endings.end(), ending) != image_endings.end();
}

class Walk {
 public:
  void enter(const fs::path& folder) {
    std::error_code error;
    const fs::path real = fs::canonical(folder, error);
    if (std::find(above_.begin(), above_.end(), real) != above_.end()) return;
    above_.push_back(real);
    auto entry = error ? fs::directory_iterator() : fs::directory_iterator(folder, error);
    for (; !error && entry != end(entry); entry.increment(error)) add(entry->path());
    if (error)
      found_.errors.emplace_back(folder.string(), fmt::format("[predict] {}: {}", folder.string(), error.message()));
    above_.pop_back();
  }

  ImagesBelow found() {
    std::sort(found_.files.begin(), found_.files.end());
    return std::move(found_);
  }

 private:
  void add(const fs::path& path) {
    std::error_code ignored;  // reading the file reports the error
    if (is_litter(path.filename().string())) return;
    if (fs::is_directory(path, ignored)) {
      enter(path);
    } else if (is_image_name(path)) {
      found_.files.push_back(path.string());
    }
  }

  ImagesBelow found_;
  std::vector<fs::path> above_;  ///< the folders being read, links resolved
};

}  // namespace

bool NameReader::fill() {
  before_read_();
  const ssize_t count = retry_on_eintr([&] { return read(file_, buffer_.data(), buffer_.size()); });
  check_call(count, "predict", "read", "the names on standard input");
  begin_ = 0;
  end_ = static_cast<std::size_t>(count);
  const auto filled = buffer_.begin() + count;
  if (!std::exchange(started_, true)) zero_ended_ = std::find(buffer_.begin(), filled, '\0') != filled;
  return count > 0;
}

std::optional<std::string> NameReader::next_raw() {
  std::string name;
  while (begin_ < end_ || fill()) {
    const char* const first = buffer_.data() + begin_;
    const char* const last = buffer_.data() + end_;
    const char* const ended = std::find(first, last, zero_ended_ ? '\0' : '\n');
    name.append(first, ended);
    begin_ = static_cast<std::size_t>(ended - buffer_.data()) + (ended < last ? 1 : 0);
    if (name.size() > PATH_MAX) {
      throw RunError("predict", "a name on standard input is longer than {} bytes: {}", PATH_MAX, printable(name, 80));
    }
    if (ended < last) return name;
  }
  if (name.empty()) return std::nullopt;
  return name;
}

std::optional<std::string> NameReader::next() {
  std::size_t empty = 0;
  while (std::optional<std::string> name = next_raw()) {
    if (!zero_ended_) {
      const std::vector<std::string> lines = text_lines(*name);
      name = lines.empty() ? "" : lines.front();
    }
    if (!name->empty()) return name;
    if (++empty == max_empty_names) {
      throw RunError("predict", "{} empty names in a row on standard input; expected names of images", empty);
    }
  }
  return std::nullopt;
}

ImagesBelow images_below(const std::string& folder) {
  Walk walk;
  walk.enter(folder);
  return walk.found();
}

}  // namespace trainyard
