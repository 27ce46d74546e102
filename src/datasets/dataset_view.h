/// A base for datasets that change one thing about another one: a subset of it, a cache of it.
#pragma once

#include <memory>
#include <utility>

#include "datasets/dataset.h"

namespace trainyard {

/// Forwards everything to `source` except read(), which a derived class implements.
class DatasetView : public Dataset {
 public:
  std::size_t size() const override { return source_->size(); }
  const std::vector<Field>& fields() const override { return source_->fields(); }
  bool is_deterministic() const override { return source_->is_deterministic(); }
  std::int64_t rows(std::size_t field, std::size_t index) const override { return source_->rows(field, index); }
  void collate(std::size_t field, std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const override {
    source_->collate(field, rows, begins);
  }
  std::uint64_t fingerprint() const override { return source_->fingerprint(); }
  ImageOptions decoding() const override { return source_->decoding(); }
  std::string image_name(std::size_t field, std::size_t index) const override {
    return source_->image_name(field, index);
  }
  bool is_taken_from_train() const override { return source_->is_taken_from_train(); }
  const std::vector<std::string>& class_names() const override { return source_->class_names(); }
  std::vector<float> channel_mean() const override { return source_->channel_mean(); }
  std::vector<float> channel_std() const override { return source_->channel_std(); }
  std::string name(std::size_t index) const override { return source_->name(index); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return source_->stratum(index); }
  std::vector<std::uint64_t> class_counts() const override { return source_->class_counts(); }
  std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const override {
    return source_->class_counts_among(indices);
  }
  std::span<const LeftOut> left_out() const override { return source_->left_out(); }
  std::string warning() const override { return source_->warning(); }

 protected:
  explicit DatasetView(std::shared_ptr<const Dataset> source) : source_(std::move(source)) {}

  const Dataset& source() const { return *source_; }

 private:
  std::shared_ptr<const Dataset> source_;
};

}  // namespace trainyard
