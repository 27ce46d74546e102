// A folder of images with one subfolder per class, as torchvision's ImageFolder reads it:
//     <data.root>/train/<class>/**.jpg      <data.root>/val/..., test/... (optional)
// JPEG and PNG, detected by content; class_folders.h says which files are read and in which order.
#include <filesystem>
#include <optional>
#include <set>

#include <sys/stat.h>

#include "datasets/class_folders.h"
#include "datasets/file_index.h"
#include "datasets/locate.h"
#include "datasets/read_file.h"
#include "datasets/split_names.h"
#include "datasets/stored_images.h"
#include "util/error.h"
#include "util/first_few.h"
#include "util/printable.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

fs::path root_of(const DataConfig& config) { return root_folder(config.root, "data/image_folder"); }

// Returns nullopt if it does not exist. Throws UsageError if it has another usual name.
std::optional<fs::path> split_folder(const fs::path& root, Split split) {
  fs::path path = root / to_string(split);
  struct stat status{};
  const int error = stat(path.c_str(), &status) == 0 ? 0 : errno;
  if (error == 0 && S_ISDIR(status.st_mode)) return path;
  if (lstat(path.c_str(), &status) == 0 && S_ISLNK(status.st_mode)) {
    throw UsageError("data.root", "{} is a link to something that is missing or not a folder", path.string());
  }
  if (error != 0 && error != ENOENT && error != ENOTDIR) {
    throw_system_error("image_folder", "stat", path.string(), error);
  }
  refuse_misnamed_split(root, split, "");
  return std::nullopt;
}

fs::path train_folder(const fs::path& root) {
  if (const std::optional<fs::path> folder = split_folder(root, Split::train)) return *folder;
  throw UsageError("data.root",
                   "{} has no folder train; image_folder reads <data.root>/train/<class>/*.jpg, and val/ and test/ "
                   "beside it if there are any: set data.root to the folder of these",
                   root.string());
}

// Throws UsageError if there is a single class folder and all its images are in folders below it, which are probably
// the classes or the splits.
void refuse_nested_classes(const FileIndex& index, const fs::path& train) {
  if (index.class_names.size() != 1) return;
  const std::string& only = index.class_names.front();
  std::set<std::string> folders;
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    const std::string_view below = std::string_view(index.name_of(i)).substr(only.size() + 1);
    const std::size_t slash = below.find('/');
    if (slash == std::string_view::npos) return;
    folders.emplace(below.substr(0, slash));
  }
  const std::string remedy = folders.contains(to_string(Split::train))
                                 ? fmt::format("set data.root to {}", printable((train / only).string()))
                                 : fmt::format("if they are the classes, move them into {}", train.string());
  throw UsageError("data.root", "{} has a single class folder, {}, and its images are all in folders below it ({}): {}",
                   train.string(), printable(only), printable(first_few(folders, 5)), remedy);
}

class ImageFolder final : public Dataset {
 public:
  ImageFolder(const DataConfig& config, Split split, fs::path folder)
      : options_(image_options(config)), folder_(std::move(folder)) {
    const fs::path train = train_folder(root_of(config));
    index_ = cached_index("image_folder " + fs::absolute(folder_).string() + " " + fs::absolute(train).string(), [&] {
      FileIndex index = find_images(folder_.string(), class_folders_in(train.string()), split);
      index.sources.push_back(source_of(train.string()));
      return index;
    });
    if (split == Split::train) refuse_nested_classes(index_, train);
    fields_ = image_and_label(config.channels, index_.class_names.size());
    take_size_of_first_image(*this, fields_);
  }

  std::size_t size() const override { return index_.entries.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  const std::vector<std::string>& class_names() const override { return index_.class_names; }
  std::vector<std::uint64_t> class_counts() const override { return index_.class_counts(); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return index_.entries[index].label; }
  std::span<const LeftOut> left_out() const override { return index_.left_out; }
  std::uint64_t fingerprint() const override {
    return image_fingerprint(index_.fingerprint(), fields_[0].shape[2], options_);
  }
  std::vector<float> channel_mean() const override { return usual_mean(fields_[0].shape[2]); }
  std::vector<float> channel_std() const override { return usual_std(fields_[0].shape[2]); }
  std::string name(std::size_t index) const override { return (folder_ / index_.name_of(index)).string(); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    sample.store(0, {read_whole_file(name(index), sample.scratch(0))});
    sample.set(1, std::int64_t{index_.entries[index].label});
  }

 private:
  ImageOptions options_;
  fs::path folder_;
  FileIndex index_;
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_image_folder(const DataConfig& config, Split split) {
  if (split == Split::train) return std::make_unique<ImageFolder>(config, split, train_folder(root_of(config)));
  std::optional<fs::path> folder = split_folder(root_of(config), split);
  return folder ? std::make_unique<ImageFolder>(config, split, std::move(*folder)) : nullptr;
}

const DatasetRegistry::Registration registered{
    "image_folder", "JPEG and PNG files, one folder per class: <data.root>/train/<class>/, val/, test/",
    make_image_folder, __FILE__};

}  // namespace
}  // namespace trainyard
