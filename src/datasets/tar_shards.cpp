// Tar files in the layout of WebDataset: members that share a name up to the first dot of its last part are one sample,
// `key.jpg` (or jpeg, png) its picture and `key.cls` its class, a number in text.
//     <data.root>/train/*.tar, <data.root>/test/*.tar (or val/), <data.root>/classes.txt (a name a line; may be
//     missing)
//
// WebDataset streams shards and shuffles within a buffer, because its shards are remote. Ours are local files: their
// tables of contents are read once and kept, and then every sample is reached directly. That gives a true shuffle, the
// same order for any number of workers and ranks, and an exact place to resume from, none of which a stream has.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/ranges.h>

#include "datasets/file_index.h"
#include "datasets/image_dataset.h"
#include "datasets/tar.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t max_label = 999'999;

fs::path root_of(const DataConfig& config) { return config.root.empty() ? "data/tar_shards" : config.root; }

std::vector<std::string> shards_of(const fs::path& root, Split split) {
  const std::vector<std::string> folders =
      split == Split::train ? std::vector<std::string>{"train"} : std::vector<std::string>{"test", "val"};
  for (const std::string& folder : folders) {
    std::error_code ignored;
    std::vector<std::string> paths;
    for (const fs::directory_entry& entry : fs::directory_iterator(root / folder, ignored)) {
      if (entry.path().extension() == ".tar") paths.push_back(fs::absolute(entry.path()).string());
    }
    if (paths.empty()) continue;
    std::sort(paths.begin(), paths.end());
    return paths;
  }
  throw UsageError("data.root", "{} has no tar files in {}; set data.root to the folder of train/*.tar and test/*.tar",
                   root.string(), fmt::join(folders, "/ or "));
}

/// Puts the members of a shard together to samples.
class Grouper {
 public:
  Grouper(FileIndex& index, std::span<const std::byte> file, std::uint32_t number)
      : index_(index), file_(file), number_(number) {}

  void add(const TarMember& member) {
    const std::size_t folder = member.name.rfind('/') + 1;  // 0 without one
    const std::size_t dot = std::min(member.name.find('.', folder), member.name.size());
    std::string ending = member.name.substr(std::min(dot + 1, member.name.size()));
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char c) { return std::tolower(c); });
    if (const std::string key = member.name.substr(0, dot); key != key_) {
      finish();
      key_ = key;
    }
    if (ending == "jpg" || ending == "jpeg" || ending == "png") {
      if (!image_.name.empty()) fail("has two pictures");
      image_ = member;
    } else if (ending == "cls") {
      label_ = parse_label(member);
    }
  }

  void finish() {
    if (!image_.name.empty()) {
      if (!label_) fail("has no member .cls behind or before its picture");
      largest_ = std::max(largest_, *label_);
      index_.add(image_.name, {.offset = image_.offset, .size = image_.size, .file = number_, .label = *label_});
    }
    image_ = {};
    label_.reset();
  }

  std::uint32_t largest_label() const { return largest_; }

 private:
  [[noreturn]] void fail(std::string_view what) const {
    throw RunError("tar_shards", "{}: sample {} {}", index_.sources[number_].path, key_, what);
  }

  std::uint32_t parse_label(const TarMember& member) const {
    std::string_view text(reinterpret_cast<const char*>(file_.data()) + member.offset,
                          std::min<std::uint64_t>(member.size, 32));
    while (!text.empty() && std::string_view(" \t\r\n").find(text.back()) != std::string_view::npos)
      text.remove_suffix(1);
    std::uint32_t label = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), label);
    if (error != std::errc() || end != text.data() + text.size() || label > max_label) {
      throw RunError("tar_shards", "{}: {} holds '{}', expected a class from 0 to {}", index_.sources[number_].path,
                     member.name, text, max_label);
    }
    return label;
  }

  FileIndex& index_;
  std::span<const std::byte> file_;
  std::uint32_t number_;
  std::string key_;
  TarMember image_{};
  std::optional<std::uint32_t> label_;
  std::uint32_t largest_ = 0;
};

// One name a line, or the numbers up to the largest.
std::vector<std::string> names_of_classes(const fs::path& root, std::uint32_t largest) {
  std::vector<std::string> names;
  std::error_code ignored;
  if (fs::is_regular_file(root / "classes.txt", ignored)) {
    const std::string text = read_text_file((root / "classes.txt").string(), "tar_shards");
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      names.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    if (largest < names.size()) return names;
    throw UsageError("data.root", "{} has {} lines, but there is a class {} in the shards",
                     (root / "classes.txt").string(), names.size(), largest);
  }
  for (std::uint32_t i = 0; i <= largest; ++i) names.push_back(fmt::format("{}", i));
  return names;
}

FileIndex find_samples(const fs::path& root, const std::vector<std::string>& shards) {
  FileIndex index;
  std::uint32_t largest = 0;
  for (const std::string& path : shards) {
    index.sources.push_back(source_of(path));
    const Mapping file = Mapping::read_only_file(path, "tar_shards");
    Grouper grouper(index, file.bytes(), static_cast<std::uint32_t>(index.sources.size() - 1));
    for (const TarMember& member : read_tar(file.bytes(), path)) grouper.add(member);
    grouper.finish();
    largest = std::max(largest, grouper.largest_label());
  }
  if (index.entries.empty()) {
    throw UsageError("data.root", "{} and its like hold no samples of WebDataset's layout: key.jpg with key.cls",
                     shards.front());
  }
  std::error_code ignored;
  if (fs::is_regular_file(root / "classes.txt", ignored)) {
    index.sources.push_back(source_of(fs::absolute(root / "classes.txt").string()));
  }
  index.sources.push_back(source_of(fs::absolute(fs::path(shards.front()).parent_path()).string()));
  index.class_names = names_of_classes(root, largest);
  return index;
}

FileIndex index_of(const fs::path& root, Split split) {
  const std::vector<std::string> shards = shards_of(root, split);
  return cached_index(fmt::format("tar_shards {} {}", fs::absolute(root).string(), fmt::join(shards, " ")),
                      [&] { return find_samples(root, shards); });
}

class TarShards final : public ImageDataset {
 public:
  TarShards(const DataConfig& config, Split split)
      : ImageDataset(image_options(config)), index_(index_of(root_of(config), split)) {
    if (split != Split::train) use_classes_of_training(index_of(root_of(config), Split::train));
    for (const FileIndex::Source& source : index_.sources) {
      if (source.path.ends_with(".tar")) shards_.push_back(Mapping::read_only_file(source.path, "tar_shards"));
    }
    check_places();
    const auto [height, width] = first_size();
    spec_.shape = {static_cast<std::int64_t>(height), static_cast<std::int64_t>(width), config.channels};
  }

  std::size_t size() const override { return index_.entries.size(); }
  const SampleSpec& spec() const override { return spec_; }
  const std::vector<std::string>& class_names() const override { return index_.class_names; }
  std::vector<std::uint64_t> class_counts() const override { return index_.class_counts(); }
  std::span<const LeftOut> left_out() const override { return index_.left_out; }
  std::uint64_t fingerprint() const override { return fingerprint_of(index_.fingerprint()); }
  std::vector<float> channel_mean() const override { return usual_mean(spec_); }
  std::vector<float> channel_std() const override { return usual_std(spec_); }
  std::string name(std::size_t index) const override {
    return fmt::format("{}: {}", index_.sources[index_.entries[index].file].path, index_.name_of(index));
  }

  StoredImage read(std::size_t index, Scratch& /*scratch*/) const override {
    const FileIndex::Entry& entry = index_.entries[index];
    return {.bytes = shards_[entry.file].bytes().subspan(entry.offset, entry.size), .pixels = {}, .label = entry.label};
  }

 private:
  void use_classes_of_training(const FileIndex& training) {
    if (index_.class_names.size() > training.class_names.size()) {
      throw UsageError("data.root", "the test shards have classes up to {}, the training shards up to {}",
                       index_.class_names.size() - 1, training.class_names.size() - 1);
    }
    index_.class_names = training.class_names;
  }

  // The index may come from the cache, and a shard may have been exchanged just now.
  void check_places() const {
    for (const FileIndex::Entry& entry : index_.entries) {
      const std::size_t size = entry.file < shards_.size() ? shards_[entry.file].bytes().size() : 0;
      if (entry.offset <= size && entry.size <= size - entry.offset) continue;
      throw RunError("tar_shards", "{} has changed while it was opened: start again", index_.sources[entry.file].path);
    }
  }

  FileIndex index_;
  std::vector<Mapping> shards_;
  SampleSpec spec_;
};

std::unique_ptr<Dataset> make_tar_shards(const DataConfig& config, Split split) {
  return std::make_unique<TarShards>(config, split);
}

const DatasetRegistry::Registration registered{
    "tar_shards", "tar files in WebDataset's layout (key.jpg, key.cls): <data.root>/train/*.tar, test/ or val/",
    make_tar_shards, __FILE__};

}  // namespace
}  // namespace trainyard
