// A folder of pictures, sorted into a folder a class, as torchvision's ImageFolder reads it:
//     <data.root>/train/<class>/**.jpg      <data.root>/test/<class>/**.jpg (or val/)
// JPEG and PNG, told by their content; classes in the order of their names, pictures in the order of torchvision.
#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/file_index.h"
#include "datasets/image_dataset.h"
#include "datasets/read_file.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::array ours{".jpg", ".jpeg", ".png"};
// What torchvision would read and we do not: leaving such files out without a word would change the set.
constexpr std::array foreign{".bmp", ".gif", ".pgm", ".ppm", ".tif", ".tiff", ".webp"};

std::string ending_of(const fs::path& path) {
  std::string ending = path.extension().string();
  std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
  return ending;
}

bool is_one_of(const auto& endings, const fs::path& path) {
  return std::find(endings.begin(), endings.end(), ending_of(path)) != endings.end();
}

fs::path root_of(const DataConfig& config) { return config.root.empty() ? "data/image_folder" : config.root; }

fs::path split_folder(const fs::path& root, Split split) {
  const std::vector<std::string> names =
      split == Split::train ? std::vector<std::string>{"train"} : std::vector<std::string>{"test", "val"};
  std::error_code ignored;
  for (const std::string& name : names) {
    if (fs::is_directory(root / name, ignored)) return root / name;
  }
  throw UsageError("data.root",
                   "{} has no folder {}; image_folder reads <data.root>/train/<class>/*.jpg and "
                   "<data.root>/test/<class>/*.jpg (or val): set data.root to the folder of these",
                   root.string(), fmt::join(names, " or "));
}

// The folders in `folder`, sorted: the classes.
std::vector<std::string> classes_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_directory()) {
      if (!name.starts_with('.')) names.push_back(name);
    } else if (is_one_of(ours, entry.path())) {
      throw UsageError("data.root", "{} lies beside the class folders: move it into that of its class",
                       entry.path().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Finds the pictures of one split.
class Finder {
 public:
  explicit Finder(const fs::path& folder) : folder_(folder) { index_.sources.push_back(source_of(folder.string())); }

  FileIndex find(const std::vector<std::string>& class_names, Split split) {
    index_.class_names = class_names;
    for (const std::string& name : classes_in(folder_)) {
      const auto place = std::find(class_names.begin(), class_names.end(), name);
      if (place == class_names.end()) {
        throw UsageError("data.root", "{} is no class of the training images ({} of them: {}, ...)",
                         (folder_ / name).string(), class_names.size(), class_names.front());
      }
      add_class(name, static_cast<std::uint32_t>(place - class_names.begin()), split);
    }
    if (foreign_ > 0) {
      throw UsageError("data.root", "{} and {} more are of formats that are not read: convert them to JPEG or PNG",
                       first_foreign_, foreign_ - 1);
    }
    if (index_.entries.empty()) throw UsageError("data.root", "{} holds no JPEG or PNG files", folder_.string());
    return std::move(index_);
  }

 private:
  void add_class(const std::string& name, std::uint32_t label, Split split) {
    std::vector<fs::path> folders;
    std::vector<fs::path> above;
    collect_folders(name, above, folders);
    std::sort(folders.begin(), folders.end(),
              [](const fs::path& a, const fs::path& b) { return a.native() < b.native(); });
    const std::size_t before = index_.entries.size();
    for (const fs::path& folder : folders) add_files(folder, label);
    if (split == Split::train && index_.entries.size() == before && foreign_ == 0) {
      throw UsageError("data.root", "the class folder {} holds no JPEG or PNG files", (folder_ / name).string());
    }
  }

  // `folder` (below folder_) and all below it; links are followed, but not in circles.
  void collect_folders(const fs::path& folder, std::vector<fs::path>& above, std::vector<fs::path>& folders) {
    const fs::path full = folder_ / folder;
    const fs::path real = fs::canonical(full);
    if (std::find(above.begin(), above.end(), real) != above.end()) return;
    above.push_back(real);
    folders.push_back(folder);
    index_.sources.push_back(source_of(full.string()));
    for (const fs::directory_entry& entry : fs::directory_iterator(full)) {
      if (entry.is_directory()) collect_folders(folder / entry.path().filename(), above, folders);
    }
    above.pop_back();
  }

  void add_files(const fs::path& folder, std::uint32_t label) {
    std::vector<std::pair<std::string, std::uint64_t>> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / folder)) {
      if (is_one_of(foreign, entry.path()) && foreign_++ == 0) first_foreign_ = entry.path().string();
      if (!is_one_of(ours, entry.path()) || entry.is_directory()) continue;
      std::error_code unreadable;  // a link to nowhere is listed; reading it says what is wrong
      const std::uint64_t size = entry.file_size(unreadable);
      files.emplace_back(entry.path().filename().string(), unreadable ? 0 : size);
    }
    std::sort(files.begin(), files.end());
    for (const auto& [name, size] : files) index_.add((folder / name).string(), {.size = size, .label = label});
  }

  fs::path folder_;
  FileIndex index_;
  std::size_t foreign_ = 0;
  std::string first_foreign_;
};

class ImageFolder final : public ImageDataset {
 public:
  ImageFolder(const DataConfig& config, Split split) try
      : ImageDataset(image_options(config)), folder_(split_folder(root_of(config), split)) {
    const fs::path train = split_folder(root_of(config), Split::train);
    index_ = cached_index("image_folder " + fs::absolute(folder_).string() + " " + fs::absolute(train).string(), [&] {
      FileIndex index = Finder(folder_).find(classes_in(train), split);
      index.sources.push_back(source_of(train.string()));
      return index;
    });
    const auto [height, width] = first_size();
    spec_.shape = {static_cast<std::int64_t>(height), static_cast<std::int64_t>(width), config.channels};
  } catch (const fs::filesystem_error& error) {
    throw RunError("image_folder", "{}", error.what());
  }

  std::size_t size() const override { return index_.entries.size(); }
  const SampleSpec& spec() const override { return spec_; }
  const std::vector<std::string>& class_names() const override { return index_.class_names; }
  std::vector<std::uint64_t> class_counts() const override { return index_.class_counts(); }
  std::span<const LeftOut> left_out() const override { return index_.left_out; }
  std::uint64_t fingerprint() const override { return fingerprint_of(index_.fingerprint()); }
  std::vector<float> channel_mean() const override { return usual_mean(spec_); }
  std::vector<float> channel_std() const override { return usual_std(spec_); }
  std::string name(std::size_t index) const override { return (folder_ / index_.name_of(index)).string(); }

  StoredImage read(std::size_t index, Scratch& scratch) const override {
    return {.bytes = read_whole_file(name(index), scratch), .pixels = {}, .label = index_.entries[index].label};
  }

 private:
  fs::path folder_;
  FileIndex index_;
  SampleSpec spec_;
};

std::unique_ptr<Dataset> make_image_folder(const DataConfig& config, Split split) {
  return std::make_unique<ImageFolder>(config, split);
}

const DatasetRegistry::Registration registered{
    "image_folder", "JPEG and PNG files, a folder a class: <data.root>/train/<class>/, test/ or val/",
    make_image_folder, __FILE__};

}  // namespace
}  // namespace trainyard
