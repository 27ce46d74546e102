/// Datasets that change one thing about another: a part of it, a cache of it.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

#include "datasets/image_dataset.h"

namespace trainyard {

/// Hands on all that `source` says; what is left to a derived class is get(), or read() if Base is ImageDataset: a view
/// of pictures is a dataset of pictures, whose transforms still decode no more than they keep.
template <typename Base>
class DatasetView : public Base {
 public:
  std::size_t size() const override { return source_->size(); }
  const SampleSpec& spec() const override { return source_->spec(); }
  std::int64_t rows(std::size_t index) const override { return source_->rows(index); }
  void collate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const override {
    source_->collate(rows, begins);
  }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }
  std::uint64_t fingerprint() const override { return source_->fingerprint(); }
  std::vector<float> channel_mean() const override { return source_->channel_mean(); }
  std::vector<float> channel_std() const override { return source_->channel_std(); }
  std::string name(std::size_t index) const override { return source_->name(index); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return source_->stratum(index); }
  std::vector<std::uint64_t> class_counts() const override { return source_->class_counts(); }
  std::span<const LeftOut> left_out() const override { return source_->left_out(); }

 protected:
  explicit DatasetView(std::shared_ptr<const Base> source)
    requires std::same_as<Base, Dataset>
      : source_(std::move(source)) {}
  explicit DatasetView(std::shared_ptr<const Base> source)
    requires std::same_as<Base, ImageDataset>
      : ImageDataset(source->options()), source_(std::move(source)) {}

  const Base& source() const { return *source_; }

 private:
  std::shared_ptr<const Base> source_;
};

}  // namespace trainyard
