/// Sample transforms on the CPU: run in a worker, on one uint8 image, in place. A new one is one file here that
/// registers itself.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "datasets/dataset.h"
#include "util/random.h"
#include "util/registry.h"

namespace trainyard {

/// A transform of one image in place, keeping its shape. Called from many processes; must not keep state between calls
/// other than scratch memory.
class Transform {
 public:
  virtual ~Transform() = default;

  /// `image` holds height × width × channels bytes. `random` is this sample's and this transform's own stream.
  virtual void apply(std::span<std::byte> image, RandomStream random) = 0;
};

/// What is written in brackets behind a transform's name: `random_crop(padding=4)`.
using TransformArguments = std::map<std::string, double>;

struct TransformKind {
  static constexpr const char* name = "transform";
};

/// Factories throw UsageError for an argument they don't know or a value out of range.
using TransformRegistry =
    Registry<TransformKind, std::unique_ptr<Transform>(const TransformArguments&, const SampleSpec&)>;

/// `given` over `defaults`, which name every argument `transform` has. Throws UsageError that lists them for one it has
/// not.
TransformArguments with_defaults(std::string_view transform, const TransformArguments& given,
                                 const TransformArguments& defaults);

/// The transforms of one split, applied in order. Empty does nothing.
class TransformPipeline {
 public:
  TransformPipeline() = default;
  /// Parses and builds each of `specs` ("name" or "name(key=value, ...)", values are numbers). Throws UsageError, also
  /// where there are specs and the samples are not uint8 images.
  TransformPipeline(const std::vector<std::string>& specs, const SampleSpec& sample);

  /// Randomness is a function of (seed, epoch, index, the transform's place and name) alone.
  void apply(std::span<std::byte> image, std::uint64_t seed, std::uint64_t epoch, std::uint64_t index) const;

 private:
  struct Stage {
    std::uint64_t name_key;
    std::unique_ptr<Transform> transform;
  };
  std::vector<Stage> stages_;
};

}  // namespace trainyard
