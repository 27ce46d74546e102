// Tar files in WebDataset's layout (datasets/shard_samples.h):
//     <data.root>/train/*.tar, val/*.tar, test/*.tar, <data.root>/classes.txt (one name per line); only train is
//     required
//
// WebDataset streams shards and shuffles within a buffer, because its shards are remote. Here they are local files:
// their tables of contents are read once and cached, and then every sample is accessed directly. This gives a true
// shuffle, the same order for any number of workers and ranks, and an exact position to resume from, none of which a
// stream has.
#include <algorithm>
#include <filesystem>

#include <sys/resource.h>

#include "datasets/locate.h"
#include "datasets/shard_index.h"
#include "datasets/stored_images.h"
#include "util/error.h"
#include "util/system.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

fs::path root_of(const DataConfig& config) { return root_folder(config.root, "data/tar_shards"); }

// Raises the limit of open files by the number of shards, which stay open, so that the rest of the program can open as
// many files as before.
void allow_open_files(std::size_t shards) {
  rlimit limit{};
  check_call(getrlimit(RLIMIT_NOFILE, &limit), "tar_shards", "getrlimit", "open files");
  if (shards >= limit.rlim_max) {
    throw RunError("tar_shards",
                   "{} shards are open at once, and the limit is {} open files (ulimit -Hn): raise it, or write fewer, "
                   "larger shards",
                   shards, limit.rlim_max);
  }
  limit.rlim_cur += std::min<rlim_t>(shards, limit.rlim_max - limit.rlim_cur);
  check_call(setrlimit(RLIMIT_NOFILE, &limit), "tar_shards", "setrlimit", "open files");
}

/// Samples are read, not mapped: if a shard is truncated during the run, only reading the lost samples fails.
class TarShards final : public Dataset {
 public:
  TarShards(const DataConfig& config, Split split, FileIndex index)
      : options_(image_options(config)), index_(std::move(index)) {
    if (split != Split::train) use_classes_of_training(*index_shards(root_of(config), Split::train), split);
    open_shards();
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
  std::string name(std::size_t index) const override {
    return fmt::format("{}: {}", index_.sources[index_.entries[index].file].path, index_.name_of(index));
  }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const FileIndex::Entry& entry = index_.entries[index];
    const std::span<std::byte> bytes = sample.scratch(0).take(entry.size);
    const std::string& shard = index_.sources[entry.file].path;
    if (read_at(shards_[entry.file].get(), bytes, entry.offset, "tar_shards", shard) < entry.size) {
      throw RunError("tar_shards", "{} has been cut off since it was opened", name(index));
    }
    sample.store(0, {bytes});
    sample.set(1, std::int64_t{entry.label});
  }

 private:
  void use_classes_of_training(const FileIndex& training, Split split) {
    if (index_.class_names.size() > training.class_names.size()) {
      throw UsageError("data.root", "the {} shards have classes up to {}, the training shards up to {}",
                       to_string(split), index_.class_names.size() - 1, training.class_names.size() - 1);
    }
    index_.class_names = training.class_names;
  }

  // Opens the shards and checks that every entry lies within its shard: the index may come from the cache, or a shard
  // may just have been replaced.
  void open_shards() {
    std::uint32_t last = 0;
    for (const FileIndex::Entry& entry : index_.entries) last = std::max(last, entry.file);
    allow_open_files(last + 1);
    std::vector<std::uint64_t> sizes;
    for (std::uint32_t i = 0; i <= last; ++i) {
      const std::string& path = index_.sources[i].path;
      shards_.push_back(open_regular_file(path, "tar_shards"));
      sizes.push_back(regular_file_size(shards_.back().get(), "tar_shards", path));
    }
    for (const FileIndex::Entry& entry : index_.entries) {
      const std::uint64_t size = sizes[entry.file];
      if (entry.offset <= size && entry.size <= size - entry.offset) continue;
      throw RunError("tar_shards", "{} has changed while it was opened: start again", index_.sources[entry.file].path);
    }
  }

  ImageOptions options_;
  FileIndex index_;
  std::vector<UniqueFd> shards_;
  std::vector<Field> fields_;
};

std::unique_ptr<Dataset> make_tar_shards(const DataConfig& config, Split split) {
  std::optional<FileIndex> index = index_shards(root_of(config), split);
  return index ? std::make_unique<TarShards>(config, split, std::move(*index)) : nullptr;
}

const DatasetRegistry::Registration registered{
    "tar_shards", "tar files in WebDataset's layout (key.jpg, key.cls): <data.root>/train/*.tar, val/, test/",
    make_tar_shards, __FILE__};

}  // namespace
}  // namespace trainyard
