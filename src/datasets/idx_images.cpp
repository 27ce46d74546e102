#include "datasets/idx_images.h"

#include <algorithm>

#include "datasets/fingerprint.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

// The spellings in circulation: with a hyphen or a dot, compressed or not.
FileNames spellings(const std::string& stem, const std::string& ending) {
  return {stem + "-" + ending, stem + "-" + ending + ".gz", stem + "." + ending, stem + "." + ending + ".gz"};
}

}  // namespace

IdxImages::IdxImages(const Kind& kind, const DataConfig& config, Split split) : kind_(kind) {
  const std::string stem = split == Split::train ? "train" : "t10k";
  const auto paths = locate_files(
      kind.places, config.root, {spellings(stem + "-images", "idx3-ubyte"), spellings(stem + "-labels", "idx1-ubyte")});
  const std::string& images_path = paths[0];
  const std::string& labels_path = paths[1];
  labels_ = read_idx(labels_path, {0});
  images_ = read_idx(images_path, {0, 28, 28});

  if (images_.dims[0] != labels_.dims[0]) {
    throw RunError(kind.name,
                   "{} has {} and {} has {} (byte 4 of each), expected equal counts: they are "
                   "not of one set",
                   images_path, count_of(images_.dims[0], "image"), labels_path, count_of(labels_.dims[0], "label"));
  }
  const auto bad = std::find_if(labels_.values.begin(), labels_.values.end(), [&](std::byte label) {
    return std::to_integer<std::size_t>(label) >= kind.class_names.size();
  });
  if (bad != labels_.values.end()) {
    throw RunError(kind.name, "{}: label {} at byte {}, expected 0 to {}", labels_path, std::to_integer<int>(*bad),
                   labels_.offset_of(static_cast<std::size_t>(bad - labels_.values.begin())),
                   kind.class_names.size() - 1);
  }
  const std::uint64_t key = key_of({key_of(kind.name), key_of(to_string(split))});
  fingerprint_ = trainyard::fingerprint(trainyard::fingerprint(key, images_.values), labels_.values);
}

void IdxImages::read(std::size_t index, RandomStream /*random*/, Sample& sample) const {
  const std::span<std::byte> out = sample.elements(0);
  std::copy_n(images_.values.begin() + static_cast<std::ptrdiff_t>(index * out.size()), out.size(), out.begin());
  sample.set(1, std::to_integer<std::int64_t>(labels_.values[index]));
}

std::vector<std::uint64_t> IdxImages::class_counts() const {
  std::vector<std::uint64_t> counts(kind_.class_names.size());
  for (const std::byte label : labels_.values) ++counts[std::to_integer<std::size_t>(label)];
  return counts;
}

}  // namespace trainyard
