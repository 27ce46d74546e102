/// What a dataset is: a size and `get`. A new dataset is one file here that registers itself.
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
#include "util/registry.h"

namespace trainyard {

/// Shape and type that every sample of a dataset has. Images are height × width × channels.
struct SampleSpec {
  std::vector<std::int64_t> shape;
  DType dtype = DType::uint8;
  /// Whether samples vary in their first extent, as the words of a text or the boxes in a picture: shape[0], at least
  /// 1, is the most that one has, and Dataset::rows() what each has.
  bool varies = false;

  /// Elements of one sample, of the longest where they vary.
  std::size_t elements() const;
  /// Bytes of one sample, of the longest where they vary.
  std::size_t bytes() const { return elements() * size_of(dtype); }
  /// Bytes of a row: of one of a sample's shape[0] where they vary; otherwise a sample is one row.
  std::size_t row_bytes() const { return varies ? bytes() / static_cast<std::size_t>(shape[0]) : bytes(); }
  bool operator==(const SampleSpec&) const = default;
};

/// What samples are for: to learn from; to choose by (the best checkpoint, when to stop); to be judged by, once.
enum class Split : std::uint8_t { train, val, test };

inline constexpr std::array all_splits = {Split::train, Split::val, Split::test};

/// "train", "val" or "test".
const char* to_string(Split split);

/// A finite set of labelled samples with random access.
///
/// Built once in the zygote, before the workers are forked from it; after that `get` may be called from many processes
/// at once, each single-threaded. It must not rely on state shared with other processes, use CUDA, or start threads.
class Dataset {
 public:
  virtual ~Dataset() = default;

  /// Number of samples.
  virtual std::size_t size() const = 0;

  /// What `get` writes.
  virtual const SampleSpec& spec() const = 0;

  /// Rows of sample `index`, 0 to spec().shape[0], where spec().varies. Asked for every sample of a batch by every
  /// worker that has a part in it, so it should come from an index in memory. Throws as get() does.
  virtual std::int64_t rows(std::size_t index) const;

  /// The collate hook: where in the batch samples of these many rows lie, as datasets/collate.h has it. pad(), unless a
  /// dataset decides otherwise; a batch of n samples may have up to n × spec().shape[0] rows. A function of `rows`
  /// alone.
  virtual void collate(std::span<const std::int64_t> rows, std::span<std::int64_t> begins) const;

  /// Writes sample `index` (0 <= index < size()) into `out`, which has exactly spec().bytes() bytes, or rows(index)
  /// rows where the samples vary, and may be shared memory, and returns its class, 0 <= label < class_names().size().
  /// Throws RunError for a sample that cannot be read.
  virtual std::int64_t get(std::size_t index, std::span<std::byte> out) const = 0;

  /// One name a class; its size is the number of classes.
  virtual const std::vector<std::string>& class_names() const = 0;

  /// Changes when the content or its order changes; a checkpoint remembers it.
  virtual std::uint64_t fingerprint() const = 0;

  /// Mean and standard deviation of each channel, in units of 0..1, for normalisation. One value for each channel.
  virtual std::vector<float> channel_mean() const = 0;
  virtual std::vector<float> channel_std() const = 0;

  /// What reports call sample `index`: a picture's path; its number, unless a dataset knows better.
  virtual std::string name(std::size_t index) const;

  /// The class of sample `index`, from an index in memory; none, for every sample, if only reading tells it.
  virtual std::optional<std::uint64_t> stratum(std::size_t /*index*/) const { return std::nullopt; }

  /// Samples of each class, from an index in memory; empty if they are known by reading the samples only.
  virtual std::vector<std::uint64_t> class_counts() const { return {}; }

  /// What lies among the data and is no sample.
  virtual std::span<const LeftOut> left_out() const { return {}; }
};

struct DatasetKind {
  static constexpr const char* name = "dataset";
};

/// Factories return null if the data has no split of this kind of its own (see datasets/splits.h); it always has train.
/// They read files and throw UsageError if `data.root` has none, RunError if one is damaged.
using DatasetRegistry = Registry<DatasetKind, std::unique_ptr<Dataset>(const DataConfig&, Split)>;

/// The split that the dataset named by `config.name` brings itself; null if it has none of this kind.
std::unique_ptr<Dataset> make_dataset(const DataConfig& config, Split split);

}  // namespace trainyard
