/// Makes samples for a language model: windows of a long sequence of tokens.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "util/system.h"

namespace trainyard {

/// A sequence of tokens in one or more concatenated files, each token of one, two or four bytes, little-endian. The
/// files are mapped, so all workers and all copies share the memory.
class TokenSequence {
 public:
  explicit TokenSequence(std::size_t token_bytes) : token_bytes_(token_bytes) {}

  /// Adds the tokens of a mapped file from byte `begin` on; trailing bytes that do not fill a token are ignored.
  void add(std::shared_ptr<const Mapping> file, std::size_t begin = 0);

  std::uint64_t size() const { return begins_.back(); }
  /// Writes the tokens from `first` on to `out`. REQUIRES first + out.size() <= size().
  void read(std::uint64_t first, std::span<std::int32_t> out) const;
  /// A hash of the tokens and their order. For files over 16 MiB it covers the size and 4,096 blocks spread over the
  /// file, so that opening many gigabytes is fast.
  std::uint64_t fingerprint() const;

 private:
  struct File {
    std::shared_ptr<const Mapping> mapping;
    std::span<const std::byte> bytes;
  };
  std::size_t token_bytes_;
  std::vector<File> files_;
  std::vector<std::uint64_t> begins_{0};  ///< the index of each file's first token; the last element is the total
};

/// The part of a sequence that belongs to one split.
struct TokenRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
};

/// Divides the tokens into train, val and test, in this order: test is the last `test` of the tokens (a share), val
/// precedes it, and the rest is train. `val` is a share if below 1, otherwise a number of samples of `context` tokens.
/// Throws UsageError if a part would be empty.
std::array<TokenRange, 3> divided(std::uint64_t tokens, double val, double test, std::int64_t context);

struct TokenWindowsOptions {
  std::string name;             ///< of the dataset
  std::int64_t context = 128;   ///< tokens that a model reads; a sample has one more
  std::int64_t vocabulary = 0;  ///< tokens are 0 to vocabulary - 1
  bool random = false;          ///< train: windows at random positions, drawn anew in each epoch
  bool from_train = false;      ///< see Dataset::is_taken_from_train()
  std::vector<LeftOut> left_out{};
};

/// Samples with the field "tokens", int32, context + 1: a model reads the first `context` tokens and predicts the last
/// `context`.
///
/// With `random`, an epoch has tokens / context samples, each a window at a position drawn from its random stream.
/// Otherwise windows follow one another so that each token of the range is the target of exactly one of them: window i
/// begins at the token before its first target. The input for the range's first token is the last token of the
/// preceding range; if the sequence begins with it, it has no input and is not a target. Positions after the range, in
/// the last window, are padded with `ignored_token`: it is never a target, and a model may read any token in its place.
class TokenWindows final : public Dataset {
 public:
  static constexpr std::int32_t ignored_token = -1;

  /// Throws UsageError if the range is shorter than a window with `random`, or has no target.
  TokenWindows(TokenSequence tokens, TokenRange range, const TokenWindowsOptions& options);

  std::size_t size() const override { return size_; }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t index, RandomStream random, Sample& sample) const override;
  bool is_deterministic() const override { return !options_.random; }
  bool is_taken_from_train() const override { return options_.from_train; }
  std::uint64_t fingerprint() const override { return fingerprint_; }
  std::span<const LeftOut> left_out() const override { return options_.left_out; }
  /// "tokens 1024 to 1151"; for random windows only the index.
  std::string name(std::size_t index) const override;

 private:
  std::uint64_t first_of(std::size_t index) const {
    return first_ + static_cast<std::uint64_t>(index) * static_cast<std::uint64_t>(options_.context);
  }

  TokenSequence tokens_;
  TokenRange range_;
  TokenWindowsOptions options_;
  std::uint64_t first_;  ///< position of the first target's input
  std::size_t size_;
  std::vector<Field> fields_;
  std::uint64_t fingerprint_;
};

}  // namespace trainyard
