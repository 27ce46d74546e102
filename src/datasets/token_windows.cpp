#include "datasets/token_windows.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "datasets/fingerprint.h"
#include "util/error.h"

namespace trainyard {
namespace {

static_assert(std::endian::native == std::endian::little, "tokens are read as they are");

template <typename T>
void widen(const std::byte* from, std::span<std::int32_t> to) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    T token{};
    std::memcpy(&token, from + i * sizeof token, sizeof token);
    to[i] = static_cast<std::int32_t>(token);  // a value that is too large becomes negative, and is refused
  }
}

}  // namespace

void TokenSequence::add(std::shared_ptr<const Mapping> file, std::size_t begin) {
  const std::span<const std::byte> bytes = file->bytes();
  const std::size_t tokens = begin < bytes.size() ? (bytes.size() - begin) / token_bytes_ : 0;
  if (tokens == 0) return;
  files_.push_back({std::move(file), bytes.subspan(begin, tokens * token_bytes_)});
  begins_.push_back(begins_.back() + tokens);
}

void TokenSequence::read(std::uint64_t first, std::span<std::int32_t> out) const {
  auto file = static_cast<std::size_t>(std::upper_bound(begins_.begin(), begins_.end(), first) - begins_.begin()) - 1;
  while (!out.empty()) {
    const std::size_t count = std::min<std::uint64_t>(out.size(), begins_[file + 1] - first);
    const std::byte* const from = files_[file].bytes.data() + (first - begins_[file]) * token_bytes_;
    const std::span<std::int32_t> to = out.first(count);
    token_bytes_ == 1   ? widen<std::uint8_t>(from, to)
    : token_bytes_ == 2 ? widen<std::uint16_t>(from, to)
                        : widen<std::uint32_t>(from, to);
    out = out.subspan(count);
    first += count;
    ++file;
  }
}

std::uint64_t TokenSequence::fingerprint() const {
  std::uint64_t key = key_of({key_of("tokens"), token_bytes_});
  for (const File& file : files_) {
    constexpr std::size_t block = 4096;
    constexpr std::size_t blocks = 4096;
    if (file.bytes.size() <= block * blocks) {
      key = trainyard::fingerprint(key, file.bytes);
      continue;
    }
    const std::size_t stride = (file.bytes.size() - block) / (blocks - 1);
    key = key_of({key, file.bytes.size()});
    for (std::size_t i = 0; i < blocks; ++i) key = trainyard::fingerprint(key, file.bytes.subspan(i * stride, block));
  }
  return key;
}

std::array<TokenRange, 3> divided(std::uint64_t tokens, double val, double test, std::int64_t context) {
  const auto share_of = [&](double share) {
    return static_cast<std::uint64_t>(std::llround(share * static_cast<double>(tokens)));
  };
  const std::uint64_t for_test = share_of(test);
  const std::uint64_t for_val =
      val < 1 ? share_of(val) : static_cast<std::uint64_t>(val * static_cast<double>(context));
  if (for_val == 0 || for_test >= tokens || for_val >= tokens - for_test) {
    throw UsageError("data.val",
                     "takes {} of {} tokens for val and {} for test: val and train need some; change it, or use more "
                     "text",
                     for_val, tokens, for_test);
  }
  const std::uint64_t val_begin = tokens - for_test - for_val;
  return {TokenRange{0, val_begin}, {val_begin, tokens - for_test}, {tokens - for_test, tokens}};
}

TokenWindows::TokenWindows(TokenSequence tokens, TokenRange range, const TokenWindowsOptions& options)
    : tokens_(std::move(tokens)),
      range_(range),
      options_(options),
      first_(range.begin == 0 ? 0 : range.begin - 1),
      fields_{{.name = "tokens",
               .dtype = DType::int32,
               .shape = {options.context + 1},
               .values = ValueRange{options.vocabulary, ignored_token}}},
      fingerprint_(key_of({tokens_.fingerprint(), range.begin, range.end, static_cast<std::uint64_t>(options.context),
                           static_cast<std::uint64_t>(options.vocabulary), options.random ? 1U : 0U})) {
  const auto context = static_cast<std::uint64_t>(options.context);
  const std::uint64_t targets = range_.end - std::min(first_ + 1, range_.end);
  if (targets == 0 || (options_.random && range_.size() < context + 1)) {
    throw UsageError(fmt::format("data.{}.context", options_.name),
                     "windows of {} + 1 tokens do not fit into {} tokens: lower it, or use more text", context,
                     range_.size());
  }
  size_ = options_.random ? range_.size() / context : (targets + context - 1) / context;
}

void TokenWindows::read(std::size_t index, RandomStream random, Sample& sample) const {
  const std::span<std::int32_t> out = sample.elements_as<std::int32_t>(0);
  if (options_.random) {
    return tokens_.read(range_.begin + random.below(range_.size() - out.size() + 1), out);
  }
  const std::uint64_t first = first_of(index);
  const std::size_t count = std::min<std::uint64_t>(out.size(), range_.end - first);
  tokens_.read(first, out.first(count));
  std::ranges::fill(out.subspan(count), ignored_token);
}

std::string TokenWindows::name(std::size_t index) const {
  if (options_.random) return std::to_string(index);
  const std::uint64_t first = first_of(index) + 1;
  const auto context = static_cast<std::uint64_t>(options_.context);
  return fmt::format("tokens {} to {}", first, std::min(first + context, range_.end) - 1);
}

}  // namespace trainyard
