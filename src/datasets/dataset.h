/// The interface of a dataset: a size, fields and `read`. A new dataset is one file in this folder that registers
/// itself.
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

/// What samples are used for: train to learn from; val to choose by (the best checkpoint, when to stop); test to
/// evaluate once.
enum class Split : std::uint8_t { train, val, test };

inline constexpr std::array all_splits = {Split::train, Split::val, Split::test};

/// "train", "val" or "test".
const char* to_string(Split split);

/// A finite set of samples with random access. fields() describes a sample.
///
/// Built once in the zygote, before the workers are forked from it; after that `read` may be called from many
/// single-threaded processes at once. It must not rely on state shared with other processes, use CUDA, or start
/// threads.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of samples.
  virtual std::size_t size() const = 0;

  /// The fields of each sample, in a fixed order: at least one, at most max_fields, with distinct names.
  virtual const std::vector<Field>& fields() const = 0;

  /// Fills every field of sample `index`, 0 <= index < size(). `random` is the sample's stream in this epoch, a
  /// function of (seed, epoch, index), e.g. for random windows; a dataset that uses it overrides is_deterministic().
  /// Throws RunError for a sample that cannot be read.
  virtual void read(std::size_t index, RandomStream random, Sample& sample) const = 0;

  /// Whether read() returns the same sample in every epoch. Other datasets cannot be cached, packed or divided by
  /// `data.val`.
  virtual bool is_deterministic() const { return true; }

  /// Returns the rows of a field that varies, for sample `index`: 0 to shape[0]. Every worker with a part in a batch
  /// calls this for every sample of the batch, so it should use an index in memory. Throws as read() does.
  virtual std::int64_t rows(std::size_t field, std::size_t index) const;

  /// The collate hook of a field that varies: places samples of `rows` rows in the batch, as datasets/collate.h
  /// describes. The default is pad(); a batch of n samples may have up to n × shape[0] rows. Must be a function of
  /// `field` and `rows` alone.
  virtual void collate(std::size_t field, std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const;

  /// Changes if the content or its order changes; checkpoints store it.
  virtual std::uint64_t fingerprint() const = 0;

  /// How stored images are decoded, and the name of the image in field `field` of sample `index` in errors.
  virtual ImageOptions decoding() const { return {}; }
  virtual std::string image_name(std::size_t field, std::size_t index) const;

  /// Whether this is a val split that the dataset itself has taken from train, as `data.val` specifies.
  virtual bool is_taken_from_train() const { return false; }

  // Only tasks interpret these; the defaults are empty.

  /// One name per class of a label or a mask.
  virtual const std::vector<std::string>& class_names() const;

  /// Mean and standard deviation of each channel of the image, in units of 0..1, for normalization.
  virtual std::vector<float> channel_mean() const { return {}; }
  virtual std::vector<float> channel_std() const { return {}; }

  /// The name of sample `index` in reports: an image's path; its index by default.
  virtual std::string name(std::size_t index) const;

  /// The class of sample `index`, from an index in memory; nullopt, for every sample, if it is known only after
  /// reading.
  virtual std::optional<std::uint64_t> stratum(std::size_t /*index*/) const { return std::nullopt; }

  /// The number of samples of each class, from an index in memory; empty if it is known only after reading.
  virtual std::vector<std::uint64_t> class_counts() const { return {}; }
  /// The same for the samples `indices` alone; computed from their strata by default. Override if samples have several
  /// classes.
  virtual std::vector<std::uint64_t> class_counts_among(std::span<const std::uint64_t> indices) const;

  /// Files or entries among the data that are not samples.
  virtual std::span<const LeftOut> left_out() const { return {}; }

  /// One line on what is probably wrong with the samples although they can be read; empty: nothing.
  virtual std::string warning() const { return {}; }
};

/// Maximum number of fields of a dataset.
inline constexpr std::size_t max_fields = 16;

/// Reads sample `index` into memory owned by `sample`. Throws as Dataset::read() does, and RunError for a field that is
/// not filled.
void read_sample(const Dataset& dataset, std::size_t index, Sample& sample, RandomStream random = RandomStream(0));

/// Throws RunError naming the first field that read() did not fill.
void require_filled(const Dataset& dataset, std::size_t index, const Sample& sample);

/// Throws RunError naming the sample's file and the first value that `field` does not allow. `field` is that of the
/// index `place`, with the shape that `elements` have after the transforms.
void check_values(const Dataset& dataset, std::size_t index, std::size_t place, const Field& field,
                  std::span<const std::byte> elements);

struct DatasetKind {
  static constexpr const char* name = "dataset";
};

/// Factories return null if the data has no such split (see datasets/splits.h); train always exists. A dataset that
/// cannot be divided by samples, e.g. a text, may itself return `config.val` of train as val; its train then excludes
/// it. Factories read files and throw UsageError if `data.root` has none, RunError if one is damaged.
using DatasetRegistry = Registry<DatasetKind, std::unique_ptr<Dataset>(const DataConfig&, Split)>;

/// Returns this split of the dataset named by `config.name`; null if its data has no such split.
std::unique_ptr<Dataset> make_dataset(const DataConfig& config, Split split);

}  // namespace trainyard
