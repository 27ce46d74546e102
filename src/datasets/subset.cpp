#include "datasets/subset.h"

#include <algorithm>

#include "datasets/dataset_view.h"
#include "datasets/fingerprint.h"
#include "util/random.h"
#include "util/system.h"

namespace trainyard {
namespace {

template <typename Base>
class Subset : public DatasetView<Base> {
 public:
  Subset(std::shared_ptr<const Base> source, std::span<const std::uint64_t> indices)
      : DatasetView<Base>(std::move(source)),
        memory_(Mapping::copied_on_write(indices.size_bytes(), "data")),
        indices_(reinterpret_cast<std::uint64_t*>(memory_.bytes().data()), indices.size()),
        fingerprint_(
            trainyard::fingerprint(key_of({key_of("subset"), this->source().fingerprint()}), std::as_bytes(indices))) {
    std::copy(indices.begin(), indices.end(), indices_.begin());
  }

  std::size_t size() const override { return indices_.size(); }
  std::uint64_t fingerprint() const override { return fingerprint_; }
  std::int64_t rows(std::size_t index) const override { return this->source().rows(indices_[index]); }
  std::string name(std::size_t index) const override { return this->source().name(indices_[index]); }
  std::optional<std::uint64_t> stratum(std::size_t index) const override {
    return this->source().stratum(indices_[index]);
  }
  std::vector<std::uint64_t> class_counts() const override {
    std::vector<std::uint64_t> counts(this->class_names().size());
    for (std::size_t index = 0; index < size(); ++index) {
      const std::optional<std::uint64_t> label = stratum(index);
      if (!label) return {};
      ++counts.at(*label);
    }
    return counts;
  }

 protected:
  std::size_t place(std::size_t index) const { return indices_[index]; }

 private:
  Mapping memory_;  ///< of the indices, which all workers share
  std::span<std::uint64_t> indices_;
  std::uint64_t fingerprint_;
};

class ElementSubset final : public Subset<Dataset> {
 public:
  using Subset::Subset;
  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    return source().get(place(index), out);
  }
};

class ImageSubset final : public Subset<ImageDataset> {
 public:
  using Subset::Subset;
  StoredImage read(std::size_t index, Scratch& scratch) const override { return source().read(place(index), scratch); }
};

}  // namespace

std::unique_ptr<Dataset> subset(const std::shared_ptr<const Dataset>& dataset, std::span<const std::uint64_t> indices) {
  if (auto images = std::dynamic_pointer_cast<const ImageDataset>(dataset)) {
    return std::make_unique<ImageSubset>(std::move(images), indices);
  }
  return std::make_unique<ElementSubset>(dataset, indices);
}

}  // namespace trainyard
