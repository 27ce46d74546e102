#include "commands/image_names.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include "datasets/litter.h"
#include "util/error.h"
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

std::optional<std::string> NameReader::next_raw() {
  if (!end_) {
    const std::span<const char> first = lines_.arrived();
    if (first.empty()) return std::nullopt;
    end_ = std::find(first.begin(), first.end(), '\0') != first.end() ? '\0' : '\n';
  }
  return lines_.next(*end_);
}

std::optional<std::string> NameReader::next() {
  std::size_t empty = 0;
  while (std::optional<std::string> name = next_raw()) {
    if (*end_ == '\n') {
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
