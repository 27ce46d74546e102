/// What a dataset is: a size, fields and `read`. A new dataset is one file here that registers itself.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/config.h"
#include "datasets/field.h"
#include "datasets/left_out.h"
#include "datasets/sample.h"
#include "images/decode_image.h"
#include "util/random.h"
#include "util/registry.h"

namespace trainyard {

/// What samples are for: to learn from; to choose by (the best checkpoint, when to stop); to be judged by, once.
enum class Split : std::uint8_t { train, val, test };

inline constexpr std::array all_splits = {Split::train, Split::val, Split::test};

/// "train", "val" or "test".
const char* to_string(Split split);

/// A finite set of samples with random access. What a sample consists of is fields().
///
/// Built once in the zygote, before the workers are forked from it; after that `read` may be called from many processes
/// at once, each single-threaded. It must not rely on state shared with other processes, use CUDA, or start threads.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of samples.
  virtual std::size_t size() const = 0;

  /// What each sample consists of, in an order that never changes; at least one field, at most max_fields, of different
  /// names.
  virtual const std::vector<Field>& fields() const = 0;

  /// Fills every field of sample `index`, 0 <= index < size(). `random` is the sample's stream of this epoch, a
  /// function of (seed, epoch, index), e.g. for random windows; a dataset that uses it overrides is_deterministic().
  /// Throws RunError for a sample that cannot be read.
  virtual void read(std::size_t index, RandomStream random, Sample& sample) const = 0;

  /// Whether read() hands over the same in every epoch. Others cannot be cached, packed or divided by `data.val`.
  virtual bool is_deterministic() const { return true; }

  /// Rows of a field that varies, of sample `index`: 0 to shape[0]. Asked for every sample of a batch by every worker
  /// that has a part in it, so it should come from an index in memory. Throws as read() does.
  virtual std::int64_t rows(std::size_t field, std::size_t index) const;

  /// The collate hook of a field that varies: where in the batch samples of these many rows lie, as datasets/collate.h
  /// has it. pad(), unless a dataset decides otherwise; a batch of n samples may have up to n × shape[0] rows. A
  /// function of `field` and `rows` alone.
  virtual void collate(std::size_t field, std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const;

  /// Changes when the content or its order changes; a checkpoint remembers it.
  virtual std::uint64_t fingerprint() const = 0;

  /// How the files of fields that are pictures are decoded, and what errors call the one of a sample.
  virtual ImageOptions decoding() const { return {}; }
  virtual std::string picture_name(std::size_t field, std::size_t index) const;

  /// Whether a val split is the part of train that `data.val` says, which this dataset has taken by itself.
  virtual bool is_taken_from_train() const { return false; }

  // What only tasks interpret; by default there is none.

  /// One name per class, of a label or a mask.
  virtual const std::vector<std::string>& class_names() const;

  /// Mean and standard deviation of each channel of the image, in units of 0..1, for normalisation.
  virtual std::vector<float> channel_mean() const { return {}; }
  virtual std::vector<float> channel_std() const { return {}; }

  /// What reports call sample `index`: a picture's path; its number, unless a dataset knows better.
  virtual std::string name(std::size_t index) const;

  /// The class of sample `index`, from an index in memory; none, for every sample, if only reading tells it.
  virtual std::optional<std::uint64_t> stratum(std::size_t /*index*/) const { return std::nullopt; }

  /// Samples of each class, from an index in memory; empty if they are known by reading the samples only.
  virtual std::vector<std::uint64_t> class_counts() const { return {}; }
  /// The same of the samples `indices` alone; by their strata, unless samples have several classes.
  virtual std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const;

  /// What lies among the data and is no sample.
  virtual std::span<const LeftOut> left_out() const { return {}; }
};

/// So many fields a dataset may have.
inline constexpr std::size_t max_fields = 16;

/// Reads sample `index` into memory of `sample` itself, with every field filled. Throws as Dataset::read() does, and
/// RunError for a field that is not filled.
void read_sample(const Dataset& dataset, std::size_t index, Sample& sample, RandomStream random = RandomStream(0));

/// Throws RunError that names the first field that read() did not fill.
void require_filled(const Dataset& dataset, std::size_t index, const Sample& sample);

struct DatasetKind {
  static constexpr const char* name = "dataset";
};

/// Factories return null if the data has no split of this kind of its own (see datasets/splits.h); it always has train.
/// A dataset that cannot be divided sample by sample, as a text, may return val as `config.val` of train itself; its
/// train is then without it.
/// They read files and throw UsageError if `data.root` has none, RunError if one is damaged.
using DatasetRegistry = Registry<DatasetKind, std::unique_ptr<Dataset>(const DataConfig&, Split)>;

/// The split that the dataset named by `config.name` brings itself; null if it has none of this kind.
std::unique_ptr<Dataset> make_dataset(const DataConfig& config, Split split);

}  // namespace trainyard
