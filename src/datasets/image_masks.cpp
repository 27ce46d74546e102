// Images and their masks, in two folders; a mask has the name of its image:
//     <data.root>/train/images/**.jpg      <data.root>/train/masks/**.png      val/..., test/... (optional)
//     <data.root>/classes.txt (one name per line, in the order of the class indices)
//
// A mask is a PNG of 1 channel, grey or with a palette, of the size of its image; its values are class indices.
// class_folders.h says which files are images and which are left out; an image without a mask and a mask without an
// image are also left out.
#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>

#include <sys/stat.h>

#include "config/component.h"
#include "datasets/class_folders.h"
#include "datasets/file_index.h"
#include "datasets/locate.h"
#include "datasets/read_file.h"
#include "datasets/split_names.h"
#include "datasets/stored_images.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr const char* where = "image_masks";

struct ImageMaskSettings {
  std::int64_t ignore = 255;

  void declare(SettingTable& table) {
    table.add("ignore", ignore, "mask value that stands for no class; -1: none", whole(-1, 255), Resume::fixed);
  }
};
const ComponentSettings<ImageMaskSettings> settings{"data.image_masks", {"image_masks"}, __FILE__};

fs::path root_of(const DataConfig& config) { return root_folder(config.root, "data/image_masks"); }

std::vector<std::string> read_classes(const fs::path& root) {
  const fs::path file = root / "classes.txt";
  std::error_code ignored;
  if (!fs::exists(file, ignored)) {
    throw UsageError("data.root",
                     "there is no file {}: write the name of each class on a line of its own, class 0 first",
                     file.string());
  }
  std::vector<std::string> names = text_lines(read_text_file(file.string(), where));
  const auto empty = std::find(names.begin(), names.end(), "");
  if (names.empty() || names.size() > 256 || empty != names.end()) {
    throw UsageError("data.root", "{}: {}; expected 1 to 256 lines, each the name of a class", file.string(),
                     empty != names.end() ? fmt::format("line {} is empty", empty - names.begin() + 1)
                                          : count_of(names.size(), "line"));
  }
  return names;
}

// Returns "cat/a" for "images/cat/a.jpg".
std::string stem_of(std::string_view name) {
  name.remove_prefix(name.find('/') + 1);
  const std::size_t slash = name.rfind('/');
  const std::size_t dot = name.rfind('.');
  const bool has_ending = dot != std::string_view::npos && (slash == std::string_view::npos || dot > slash + 1);
  return std::string(name.substr(0, has_ending ? dot : name.size()));
}

// Returns the entries of one of the two folders, by stem.
std::map<std::string, std::size_t> entries_of(const FileIndex& found, std::string_view folder) {
  std::map<std::string, std::size_t> entries;
  for (std::size_t i = 0; i < found.entries.size(); ++i) {
    if (found.class_names[found.entries[i].label] != folder) continue;
    const auto [known, is_new] = entries.emplace(stem_of(found.name_of(i)), i);
    if (is_new) continue;
    throw UsageError("data.root", "{}: {} and {} have one name: an image has one mask; remove one of them",
                     found.folder, printable(found.name_of(known->second)), printable(found.name_of(i)));
  }
  return entries;
}

/// Returns each image followed by its mask, where `found` is an index of both folders.
FileIndex paired(const FileIndex& found) {
  FileIndex pairs = found;
  pairs.entries.clear();
  pairs.names.clear();
  const std::map<std::string, std::size_t> image_of = entries_of(found, "images");
  const std::map<std::string, std::size_t> mask_of = entries_of(found, "masks");
  for (std::size_t i = 0; i < found.entries.size(); ++i) {
    const std::string& folder = found.class_names[found.entries[i].label];
    const std::string stem = stem_of(found.name_of(i));
    if (folder == "masks") {
      if (!image_of.contains(stem)) leave_out(pairs.left_out, "mask without an image", found.name_of(i));
    } else if (folder != "images") {
      leave_out(pairs.left_out, "neither in images nor in masks", found.name_of(i));
    } else if (const auto mask = mask_of.find(stem); mask == mask_of.end()) {
      leave_out(pairs.left_out, "image without a mask", found.name_of(i));
    } else {
      pairs.add(found.name_of(i), found.entries[i]);
      pairs.add(found.name_of(mask->second), found.entries[mask->second]);
    }
  }
  if (!pairs.entries.empty()) return pairs;
  throw UsageError("data.root", "{} has no image with a mask of the same name; left out: {}", found.folder,
                   list_left_out(pairs.left_out));
}

FileIndex pairs_in(const fs::path& folder, Split split) {
  return cached_index("image_masks " + fs::absolute(folder).string(), [&] {
    const std::vector<std::string> folders = class_folders_in(folder.string());
    for (const char* const name : {"images", "masks"}) {
      if (std::find(folders.begin(), folders.end(), name) != folders.end()) continue;
      throw UsageError("data.root",
                       "{} has no folder {}; image_masks reads <data.root>/train/images/*.jpg and masks/*.png",
                       folder.string(), name);
    }
    return paired(find_images(folder.string(), folders, split));
  });
}

class ImageMasks final : public Dataset {
 public:
  ImageMasks(const DataConfig& config, Split split, fs::path folder)
      : options_(image_options(config)),
        folder_(std::move(folder)),
        class_names_(read_classes(root_of(config))),
        index_(pairs_in(folder_, split)) {
    ValueRange values{static_cast<std::int64_t>(class_names_.size())};
    if (const std::int64_t ignore = settings.in(config).ignore; ignore >= 0) values.ignored = ignore;
    fields_ = {{.name = "image", .shape = {1, 1, config.channels}, .is_stored_image = true},
               {.name = "mask", .shape = {1, 1}, .is_stored_image = true, .values = values}};
    take_size_of_first_image(*this, fields_);
  }

  std::size_t size() const override { return index_.entries.size() / 2; }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::span<const LeftOut> left_out() const override { return index_.left_out; }
  std::uint64_t fingerprint() const override {
    return image_fingerprint(key_of({index_.fingerprint(), class_names_.size()}), fields_[0].shape[2], options_);
  }
  std::vector<float> channel_mean() const override { return usual_mean(fields_[0].shape[2]); }
  std::vector<float> channel_std() const override { return usual_std(fields_[0].shape[2]); }
  std::string name(std::size_t index) const override { return path_of(2 * index); }
  std::string image_name(std::size_t field, std::size_t index) const override { return path_of(2 * index + field); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    for (const std::size_t field : {0, 1}) {
      sample.store(field, {read_whole_file(path_of(2 * index + field), sample.scratch(field))});
    }
  }

 private:
  std::string path_of(std::size_t entry) const { return (folder_ / index_.name_of(entry)).string(); }

  ImageOptions options_;
  fs::path folder_;
  std::vector<std::string> class_names_;
  FileIndex index_;  ///< each image, followed by its mask
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_image_masks(const DataConfig& config, Split split) {
  const fs::path folder = root_of(config) / to_string(split);
  struct stat status{};
  if (stat(folder.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
    return std::make_unique<ImageMasks>(config, split, folder);
  }
  const int error = errno;
  if (lstat(folder.c_str(), &status) == 0) {
    throw UsageError("data.root", "{} is neither a folder nor a link to one", folder.string());
  }
  if (error != ENOENT && error != ENOTDIR) throw_system_error(where, "stat", folder.string(), error);
  refuse_misnamed_split(root_of(config), split, "");
  if (split != Split::train) return nullptr;
  throw UsageError(
      "data.root",
      "there is no folder {}; image_masks reads <data.root>/train/images/*.jpg and masks/*.png of the same "
      "names, and val/ and test/ beside train/ if there are any",
      folder.string());
}

const DatasetRegistry::Registration registered{
    "image_masks", "images and PNG masks of the same names: <data.root>/train/images/, train/masks/, val/, test/",
    make_image_masks, __FILE__};

}  // namespace
}  // namespace trainyard
