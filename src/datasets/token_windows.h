/// Windows of a long sequence of tokens: the samples of a language model.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "datasets/dataset.h"
#include "util/system.h"

namespace trainyard {

/// Tokens in files, one file behind the other, each of one, two or four bytes, little-endian. They are mapped, not
/// read: all workers share the memory. Copies share it too.
class TokenSequence {
 public:
  explicit TokenSequence(std::size_t token_bytes) : token_bytes_(token_bytes) {}

  /// Adds the tokens of a mapped file from byte `begin` on; a rest of less than a token is left out.
  void add(std::shared_ptr<const Mapping> file, std::size_t begin = 0);

  std::uint64_t size() const { return begins_.back(); }
  /// Writes the tokens from `first` on. REQUIRES first + out.size() <= size().
  void read(std::uint64_t first, std::span<std::int32_t> out) const;
  /// Of the tokens and their order; of files over 16 MiB of their size and of 4,096 blocks spread over them, so that
  /// opening many gigabytes takes no time.
  std::uint64_t fingerprint() const;

 private:
  struct File {
    std::shared_ptr<const Mapping> mapping;
    std::span<const std::byte> bytes;
  };
  std::size_t token_bytes_;
  std::vector<File> files_;
  std::vector<std::uint64_t> begins_{0};  ///< the number of each file's first token, and last that of all tokens
};

/// A part of a sequence, as one split has it.
struct TokenRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  std::uint64_t size() const { return end - begin; }
};

/// Train, val and test, one behind the other: `test` of the tokens at the end (a share), before them val, the rest is
/// train. `val` is a share if below 1, otherwise a number of samples of `context` tokens. Throws UsageError if a part
/// would be empty.
std::array<TokenRange, 3> divided(std::uint64_t tokens, double val, double test, std::int64_t context);

struct TokenWindowsOptions {
  std::string name;             ///< of the dataset
  std::int64_t context = 128;   ///< tokens that a model sees; a sample has one more
  std::int64_t vocabulary = 0;  ///< tokens are 0 to vocabulary - 1
  bool random = false;          ///< train: windows at random places, drawn anew in each epoch
  bool from_train = false;      ///< as Dataset::is_taken_from_train()
  std::vector<LeftOut> left_out{};
};

/// The field "tokens", int32, context + 1: a model reads the first `context` and is to predict the last `context`.
///
/// With `random`, an epoch has tokens / context samples, each a window at a place that its random stream draws.
/// Otherwise windows follow one another, so that each token of the range is the target of exactly one of them: window i
/// begins at the token before its first target. The range's first token has the last one of the range before as its
/// input; if the sequence begins with it, it has none and is no target. Places behind the range, in the last window,
/// are padded with `ignored_token`: it is no target, and a model reads any token in its place.
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
  /// "tokens 1024 to 1151"; of random windows only the number.
  std::string name(std::size_t index) const override;

 private:
  std::uint64_t first_of(std::size_t index) const {
    return first_ + static_cast<std::uint64_t>(index) * static_cast<std::uint64_t>(options_.context);
  }

  TokenSequence tokens_;
  TokenRange range_;
  TokenWindowsOptions options_;
  std::uint64_t first_;  ///< the input of the first target
  std::size_t size_;
  std::vector<Field> fields_;
  std::uint64_t fingerprint_;
};

}  // namespace trainyard
