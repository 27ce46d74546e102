#include "transforms/transform.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <utility>

#include <fmt/ranges.h>

#include "util/error.h"

namespace trainyard {
namespace {

struct Call {
  std::string name;
  TransformArguments arguments;
};

/// Parses one `name` or `name(key=value, ...)`. Blanks may stand between the parts.
class CallParser {
 public:
  explicit CallParser(const std::string& text) : text_(text), rest_(text) {}

  Call parse() {
    Call call;
    call.name = word("a transform's name");
    if (accept('(') && !accept(')')) {
      do {
        const std::string key = word("an argument's name");
        expect('=');
        if (!call.arguments.emplace(key, number()).second) fail(fmt::format("argument '{}' is given twice", key));
      } while (accept(','));
      expect(')');
    }
    if (!rest_.empty()) fail(fmt::format("there is more behind it: '{}'", rest_));
    return call;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw UsageError("transform", "cannot read '{}': {}; expected name or name(key=number, key=number)", text_, what);
  }

  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }

  bool accept(char c) {
    skip_blanks();
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    skip_blanks();
    return true;
  }

  void expect(char c) {
    if (!accept(c)) fail(fmt::format("'{}' is missing before '{}'", c, rest_));
  }

  std::string word(const char* what) {
    skip_blanks();
    const auto end = std::min(rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_"), rest_.size());
    if (end == 0) fail(fmt::format("{} (small letters, digits, _) is missing before '{}'", what, rest_));
    std::string result(rest_.substr(0, end));
    rest_.remove_prefix(end);
    skip_blanks();
    return result;
  }

  double number() {
    double value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error != std::errc() || !std::isfinite(value)) fail(fmt::format("there is no number at '{}'", rest_));
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  std::string text_;
  std::string_view rest_;
};

}  // namespace

TransformArguments with_defaults(std::string_view transform, const TransformArguments& given,
                                 const TransformArguments& defaults) {
  TransformArguments result = defaults;
  for (const auto& [key, value] : given) {
    if (!result.contains(key)) {
      std::vector<std::string> known;
      for (const auto& [name, standard] : defaults) known.push_back(fmt::format("{}={}", name, standard));
      throw UsageError("transform", "{} has no argument '{}'; it has: {}", transform, key, fmt::join(known, ", "));
    }
    result[key] = value;
  }
  return result;
}

TransformPipeline::TransformPipeline(const std::vector<std::string>& specs, const SampleSpec& sample) {
  if (!specs.empty() && (sample.dtype != DType::uint8 || sample.shape.size() != 3)) {
    throw UsageError("transform",
                     "'{}' works on uint8 images of height x width x channels, the samples are {} of {}; "
                     "leave transform.train empty",
                     specs.front(), sample.dtype == DType::uint8 ? "uint8" : "float32", fmt::join(sample.shape, " x "));
  }
  for (const std::string& spec : specs) {
    const Call call = CallParser(spec).parse();
    stages_.push_back({key_of(call.name), TransformRegistry::make(call.name, call.arguments, sample)});
  }
}

void TransformPipeline::apply(std::span<std::byte> image, std::uint64_t seed, std::uint64_t epoch,
                              std::uint64_t index) const {
  for (std::size_t place = 0; place < stages_.size(); ++place) {
    const Stage& stage = stages_[place];
    stage.transform->apply(image, RandomStream(key_of({seed, epoch, index, place, stage.name_key})));
  }
}

}  // namespace trainyard
