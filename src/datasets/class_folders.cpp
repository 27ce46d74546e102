#include "datasets/class_folders.h"

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>

#include "datasets/litter.h"
#include "images/describe_format.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

constexpr const char* where = "image_folder";

constexpr std::array<std::string_view, 9> image_endings = {"jpg", "jpeg",  "jpe", "jfif", "jif",
                                                           "png", "pjpeg", "pjp", "apng"};
// Extensions of other image formats; a file without an extension may be anything.
constexpr std::array<std::string_view, 28> other_image_endings = {
    "",    "avif", "avifs", "bmp", "dds", "dib", "exr", "gif", "heic", "heics", "heif", "hif", "ico",  "j2k",
    "jp2", "jxl",  "pam",   "pbm", "pgm", "pnm", "ppm", "psd", "qoi",  "svg",   "tga",  "tif", "tiff", "webp"};

std::string ending_of(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return "";
  std::string ending(name.substr(dot + 1));
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool is_one_of(const auto& endings, std::string_view name) {
  return std::find(endings.begin(), endings.end(), ending_of(name)) != endings.end();
}

/// An entry of a folder.
struct Listed {
  std::string name;
  unsigned char type;  ///< d_type of readdir
};

/// An open folder. Errors name `path`.
class Folder {
 public:
  Folder(int parent, const std::string& name, const std::string& path) {
    constexpr int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    UniqueFd fd(check_call(openat(parent, name.c_str(), flags), where, "open", printable(path, shown),
                           "make the folder readable, or move it out of data.root"));
    check_call(fstat(fd.get(), &status_), where, "fstat", printable(path, shown));
    stream_.reset(fdopendir(fd.get()));
    if (stream_ == nullptr) throw_system_error(where, "fdopendir", printable(path, shown), errno);
    fd_ = fd.release();
    for (errno = 0; const dirent* const entry = readdir(stream_.get()); errno = 0) {
      const std::string_view listed = entry->d_name;
      if (listed != "." && listed != "..") listed_.push_back({std::string(listed), entry->d_type});
    }
    if (errno != 0) throw_system_error(where, "readdir", printable(path, shown), errno);
    std::sort(listed_.begin(), listed_.end(), [](const Listed& a, const Listed& b) { return a.name < b.name; });
  }

  int fd() const { return fd_; }
  const struct stat& status() const { return status_; }
  const std::vector<Listed>& listed() const { return listed_; }

  static constexpr std::size_t shown = 1024;  ///< maximum bytes of a path in an error

 private:
  struct Close {
    void operator()(DIR* stream) const { closedir(stream); }
  };
  std::unique_ptr<DIR, Close> stream_;
  int fd_ = -1;  // the stream's
  struct stat status_{};
  std::vector<Listed> listed_;
};

[[noreturn]] void refuse_link(const std::string& path, int error) {
  std::error_code ignored;
  const std::string target = std::filesystem::read_symlink(path, ignored).string();
  throw UsageError(
      "data.root",
      "{} is a link to {}, which cannot be followed ({}): it may be a class; mount its target, or remove it",
      printable(path, Folder::shown), printable(target, Folder::shown), std::strerror(error));
}

/// The contents of a split's folder: the classes, sorted, and the entries that are left out.
struct Classes {
  std::vector<std::string> names;
  std::vector<LeftOut> left_out;
};

Classes classes_in(const std::string& path) {
  Classes classes;
  const Folder folder(AT_FDCWD, path, path);
  for (const Listed& one : folder.listed()) {
    const std::string full = path + "/" + one.name;
    struct stat status{};
    if (is_litter(one.name)) {
      leave_out(classes.left_out, litter_reason, one.name);
    } else if (fstatat(folder.fd(), one.name.c_str(), &status, 0) != 0) {
      refuse_link(full, errno);
    } else if (!S_ISDIR(status.st_mode)) {
      if (is_one_of(image_endings, one.name)) {
        throw UsageError("data.root", "{} lies beside the class folders: move it into that of its class",
                         printable(full, Folder::shown));
      }
      leave_out(classes.left_out, "beside the class folders", one.name);
    } else if (!is_utf8(one.name)) {
      throw UsageError("data.root", "the name of the class folder {} is not UTF-8: rename it",
                       printable(full, Folder::shown));
    } else {
      classes.names.push_back(one.name);
    }
  }
  return classes;
}

std::vector<std::string> printable_all(const std::vector<std::string>& names) {
  constexpr std::size_t most = 20;
  std::vector<std::string> result;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) result.push_back(printable(names[i]));
  if (names.size() > most) result.push_back(fmt::format("and {} more", names.size() - most));
  return result;
}

/// Finds the images of one split.
class Finder {
 public:
  explicit Finder(const std::string& folder) : folder_(folder) {
    index_.folder = folder;
    index_.sources.push_back(source_of(folder));
    struct stat status{};
    for (std::string above = folder; stat(above.c_str(), &status) == 0; above += "/..") {
      const Identity identity(status.st_dev, status.st_ino);
      if (!above_.empty() && above_.back() == identity) break;  // the root is its own parent
      above_.push_back(identity);
    }
  }

  FileIndex find(const std::vector<std::string>& class_names, Split split) {
    index_.class_names = class_names;
    Classes classes = classes_in(folder_);
    index_.left_out = std::move(classes.left_out);
    std::vector<std::string> foreign;
    std::set_difference(classes.names.begin(), classes.names.end(), class_names.begin(), class_names.end(),
                        std::back_inserter(foreign));
    if (!foreign.empty()) {
      throw UsageError("data.root", "{} has class folders that the training images lack: {}; those have {}: {}",
                       folder_, fmt::join(printable_all(foreign), ", "), class_names.size(),
                       fmt::join(printable_all(class_names), ", "));
    }
    for (const std::string& name : classes.names) {
      const auto place = std::lower_bound(class_names.begin(), class_names.end(), name);
      add_class(name, static_cast<std::uint32_t>(place - class_names.begin()));
    }
    refuse_empty(split);
    return std::move(index_);
  }

 private:
  struct File {
    std::string name;
    struct stat status;
  };
  struct Found {
    std::string path;  ///< relative to folder_
    std::vector<File> files;
  };
  using Identity = std::pair<dev_t, ino_t>;

  void add_class(const std::string& name, std::uint32_t label) {
    walk(AT_FDCWD, folder_ + "/" + name, name);
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) { return a.path < b.path; });
    for (const Found& folder : found_) {
      for (const File& file : folder.files) {
        index_.add(folder.path + "/" + file.name,
                   {.size = static_cast<std::uint64_t>(file.status.st_size), .label = label});
        index_.files.add(file.status);
      }
    }
    found_.clear();
  }

  // Walks the folder `name` in `parent`, whose path relative to folder_ is `path`, recursively.
  void walk(int parent, const std::string& name, const std::string& path) {
    const std::string full = folder_ + "/" + path;
    if (std::cmp_greater(std::ranges::count(path, '/'), max_folder_depth) || full.size() + NAME_MAX >= PATH_MAX) {
      throw UsageError("data.root", "{} lies deeper than {} folders below its class folder, or has too long a path",
                       printable(full, Folder::shown), max_folder_depth);
    }
    const Folder folder(parent, name, full);
    const Identity identity(folder.status().st_dev, folder.status().st_ino);
    if (std::find(above_.begin(), above_.end(), identity) != above_.end()) {
      return leave_out(index_.left_out, "link to a folder above it", path);
    }
    index_.sources.push_back(source_of(full));
    above_.push_back(identity);
    Found found{.path = path, .files = {}};
    for (const Listed& one : folder.listed()) add(folder, one, found);
    found_.push_back(std::move(found));
    above_.pop_back();
  }

  void add(const Folder& folder, const Listed& one, Found& found) {
    const std::string path = found.path + "/" + one.name;
    if (is_litter(one.name)) return leave_out(index_.left_out, litter_reason, path);
    const bool image = is_one_of(image_endings, one.name);
    const bool maybe = is_one_of(other_image_endings, one.name);
    if (one.type == DT_REG && !image && !maybe) return leave_out(index_.left_out, "not an image", path);

    File file{.name = one.name, .status = {}};
    if (fstatat(folder.fd(), one.name.c_str(), &file.status, 0) != 0) {
      const int error = errno;
      return leave_out_watched(error == ENOENT  ? "dangling link"
                               : error == ELOOP ? "link in a circle"
                                                : fmt::format("unreadable ({})", std::strerror(error)),
                               path);
    }
    if (S_ISDIR(file.status.st_mode)) return walk(folder.fd(), one.name, path);
    if (!S_ISREG(file.status.st_mode)) return leave_out_watched("not a regular file", path);
    if (!image && !maybe) return leave_out(index_.left_out, "not an image", path);
    if (const std::string reason = image ? "" : reason_against(path); !reason.empty()) {
      return leave_out_watched(reason, path);
    }
    found.files.push_back(std::move(file));
  }

  // Returns why a file is left out, from its content; empty if it is included.
  std::string reason_against(const std::string& path) const {
    const std::string full = folder_ + "/" + path;
    std::array<std::byte, format_bytes> begin;
    const UniqueFd fd(retry_on_eintr([&] { return open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK); }));
    if (!fd) return fmt::format("unreadable ({})", std::strerror(errno));
    const FileFormat format = format_of(std::span(begin).first(read_at(fd.get(), begin, 0, where, full)));
    if (format.kind == FileFormat::Kind::read) return "";
    return format.kind == FileFormat::Kind::other_image ? fmt::format("unread format {}", format.name) : "not an image";
  }

  // Leaves out a file that may become an image although its folder does not change, so it is a source of the index.
  void leave_out_watched(std::string_view reason, const std::string& path) {
    leave_out(index_.left_out, reason, path);
    index_.sources.push_back(source_of(folder_ + "/" + path));
  }

  void refuse_empty(Split split) const {
    const std::string left_out = list_left_out(index_.left_out);
    const std::string hint = left_out.empty() ? "" : "; left out: " + left_out;
    if (index_.entries.empty()) {
      throw UsageError("data.root", "{} holds no JPEG or PNG files in folders of classes{}", folder_, hint);
    }
    if (split != Split::train) return;
    const std::vector<std::uint64_t> counts = index_.class_counts();
    std::vector<std::string> empty;
    for (std::size_t label = 0; label < counts.size(); ++label) {
      if (counts[label] == 0) empty.push_back(index_.class_names[label]);
    }
    if (empty.empty()) return;
    throw UsageError("data.root",
                     "{} of the {} class folders of {} hold no JPEG or PNG files: {}; fill them, or remove them{}",
                     empty.size(), counts.size(), folder_, fmt::join(printable_all(empty), ", "), hint);
  }

  std::string folder_;
  FileIndex index_;
  std::vector<Identity> above_;  ///< the ancestors of the current folder, those of the split's folder included
  std::vector<Found> found_;     ///< of the current class
};

}  // namespace

std::vector<std::string> class_folders_in(const std::string& folder) { return classes_in(folder).names; }

FileIndex find_images(const std::string& folder, const std::vector<std::string>& class_names, Split split) {
  return Finder(folder).find(class_names, split);
}

}  // namespace trainyard
