#include "datasets/subset.h"

#include <algorithm>

#include "datasets/dataset_view.h"
#include "datasets/fingerprint.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

class Subset final : public DatasetView {
 public:
  Subset(std::shared_ptr<const Dataset> source, std::span<const std::uint64_t> indices)
      : DatasetView(std::move(source)),
        memory_(Mapping::copied_on_write(indices.size_bytes(), "data")),
        indices_(reinterpret_cast<std::uint64_t*>(memory_.bytes().data()), indices.size()),
        fingerprint_(
            trainyard::fingerprint(key_of({key_of("subset"), this->source().fingerprint()}), std::as_bytes(indices))) {
    std::copy(indices.begin(), indices.end(), indices_.begin());
  }

  std::size_t size() const override { return indices_.size(); }
  std::uint64_t fingerprint() const override { return fingerprint_; }
  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    source().read(indices_[index], random, sample);
  }
  std::int64_t rows(std::size_t field, std::size_t index) const override {
    return source().rows(field, indices_[index]);
  }
  std::string name(std::size_t index) const override { return source().name(indices_[index]); }
  std::string image_name(std::size_t field, std::size_t index) const override {
    return source().image_name(field, indices_[index]);
  }
  std::optional<std::uint64_t> stratum(std::size_t index) const override { return source().stratum(indices_[index]); }
  std::vector<std::uint64_t> class_counts() const override { return source().class_counts_among(indices_); }
  std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const override {
    std::vector<std::uint64_t> of_source;
    for (const std::uint64_t index : indices) of_source.push_back(indices_[index]);
    return source().class_counts_among(of_source);
  }

 private:
  Mapping memory_;  ///< holds the indices, shared by all workers
  std::span<std::uint64_t> indices_;
  std::uint64_t fingerprint_;
};

}  // namespace

std::unique_ptr<Dataset> subset(const std::shared_ptr<const Dataset>& dataset, std::span<const std::uint64_t> indices) {
  return std::make_unique<Subset>(dataset, indices);
}

}  // namespace trainyard
