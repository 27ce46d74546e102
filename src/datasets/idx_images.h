/// Reads MNIST and datasets in the format of its four files: 28 × 28 grey images in IDX files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "datasets/idx.h"
#include "datasets/locate.h"

namespace trainyard {

/// One split of such a dataset, held in memory that forked workers share.
class IdxImages final : public Dataset {
 public:
  struct Kind {
    std::string name;  ///< as registered
    Places places;
    std::vector<std::string> class_names;
    float mean;  ///< of the training images, in units of 0..1
    float std;
  };

  /// Finds and reads the two files of train or test; there is no val. Throws UsageError if they do not exist, RunError
  /// for a damaged file, for unequal counts of images and labels and for a label out of range.
  IdxImages(const Kind& kind, const DataConfig& config, Split split);

  std::size_t size() const override { return labels_.values.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t index, RandomStream random, Sample& sample) const override;
  const std::vector<std::string>& class_names() const override { return kind_.class_names; }
  std::uint64_t fingerprint() const override { return fingerprint_; }
  std::vector<float> channel_mean() const override { return {kind_.mean}; }
  std::vector<float> channel_std() const override { return {kind_.std}; }
  std::vector<std::uint64_t> class_counts() const override;
  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    return std::to_integer<std::uint64_t>(labels_.values[index]);
  }

 private:
  Kind kind_;
  std::vector<Field> fields_{{.name = "image", .shape = {28, 28, 1}}, label_field(kind_.class_names.size())};
  IdxArray images_;
  IdxArray labels_;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace trainyard
