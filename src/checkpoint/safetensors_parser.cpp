#include "checkpoint/safetensors_parser.h"

#include <iterator>
#include <limits>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "util/error.h"
#include "util/printable.h"

namespace trainyard::safetensors {
namespace {

using nlohmann::json;

// Iterates over the text and reports how far the parser has read, which its events do not.
class Cursor {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** furthest) : at_(at), furthest_(furthest) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *furthest_ = ++at_;
    return *this;
  }
  bool operator==(const Cursor& other) const { return at_ == other.at_; }

 private:
  const char* at_;
  const char** furthest_;
};

// Accepts only {name: {dtype, shape, data_offsets}, "__metadata__": {string: string}}.
class Handler final : public nlohmann::json_sax<json> {
 public:
  Handler(std::string_view text, std::size_t offset, std::string_view path)
      : text_(text), offset_(offset), path_(path), reached_(text.data()) {}

  Cursor begin() { return {text_.data(), &reached_}; }
  Cursor end() { return {text_.data() + text_.size(), &reached_}; }
  Header take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::top;
    } else if (place_ == Place::top) {
      place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
      tensor_ = {.name = name_, .type = {}, .shape = {}, .begin = 0, .end = 0};
      fields_.clear();
      offsets_.clear();
    } else {
      unexpected("an object");
    }
    return true;
  }

  bool key(std::string& key) override {
    if (place_ == Place::top && !names_.insert(key).second) fail("the name {} comes twice", in_quotes(key));
    if (place_ == Place::tensor) {
      if (key != "dtype" && key != "shape" && key != "data_offsets") {
        fail("tensor {} has an unknown key {}", in_quotes(name_), in_quotes(key));
      }
      if (!fields_.insert(key).second) fail("tensor {} has the key {} twice", in_quotes(name_), in_quotes(key));
    }
    (place_ == Place::top ? name_ : field_) = key;
    return true;
  }

  bool string(std::string& value) override {
    if (place_ == Place::metadata) {
      if (!header_.metadata.emplace(field_, value).second) fail("the metadata key {} comes twice", in_quotes(field_));
    } else if (place_ == Place::tensor && field_ == "dtype") {
      const auto type = element_type_of(value);
      if (!type) fail("tensor {} has an unknown dtype {}", in_quotes(name_), in_quotes(value));
      tensor_.type = *type;
    } else {
      unexpected("a string");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") unexpected("an array");
    place_ = field_ == "shape" ? Place::shape : Place::offsets;
    return true;
  }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ == Place::shape) {
      if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
        fail("tensor {} has a dimension of {}, over 63 bits", in_quotes(name_), value);
      }
      if (tensor_.shape.size() == max_dimensions) {
        fail("tensor {} has more than {} dimensions", in_quotes(name_), max_dimensions);
      }
      tensor_.shape.push_back(static_cast<std::int64_t>(value));
    } else if (place_ == Place::offsets && offsets_.size() < 2) {
      offsets_.push_back(value);
    } else {
      unexpected("a number");
    }
    return true;
  }

  bool end_array() override {
    if (place_ == Place::offsets && offsets_.size() != 2) {
      fail("tensor {} has {} data_offsets; two are needed", in_quotes(name_), offsets_.size());
    }
    place_ = Place::tensor;
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::top ? Place::outside : Place::top;
    return true;
  }

  bool null() override { return unexpected("null"); }
  bool boolean(bool) override { return unexpected("a boolean"); }
  bool number_integer(std::int64_t) override { return unexpected("a negative number"); }
  bool number_float(double, const std::string&) override {
    return unexpected("a number that is not a whole one of at most 64 bits");
  }
  bool binary(json::binary_t&) override { return unexpected("binary data"); }

  bool parse_error(std::size_t, const std::string&, const json::exception& error) override {
    // what() quotes the whole offending token, which may be as long as the header.
    const std::string_view what = error.what();
    fail("the header is not JSON in UTF-8: {}", in_quotes(what.substr(what.find(": ") + 2)));
  }

 private:
  enum class Place : std::uint8_t { outside, top, tensor, shape, offsets, metadata };

  template <typename... Args>
  [[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) const {
    throw RunError("safetensors", "{}: {}, at offset {}", path_, fmt::format(format, std::forward<Args>(args)...),
                   offset_ + static_cast<std::size_t>(reached_ - text_.data()));
  }

  [[noreturn]] bool unexpected(std::string_view what) const {
    switch (place_) {
      case Place::outside:
        fail("{} where the header's object must stand", what);
      case Place::top:
        fail("{} as the value of {}; it must be an object", what, in_quotes(name_));
      case Place::metadata:
        fail("{} as the metadata value of {}; it must be a string", what, in_quotes(field_));
      default:
        fail("tensor {}: {} in its {}", in_quotes(name_), what, in_quotes(field_));
    }
  }

  void finish_tensor() {
    if (fields_.size() != 3) fail("tensor {} lacks its dtype, shape or data_offsets", in_quotes(name_));
    tensor_.begin = offsets_[0];
    tensor_.end = offsets_[1];
    if (tensor_.begin > tensor_.end) {
      fail("tensor {} ends at {}, before its begin at {}", in_quotes(name_), tensor_.end, tensor_.begin);
    }
    const auto bytes = byte_size(tensor_.type, tensor_.shape);
    if (!bytes) fail("the shape of tensor {} overflows 63 bits", in_quotes(name_));
    if (*bytes != tensor_.end - tensor_.begin) {
      fail("tensor {} needs {} bytes by its dtype and shape; its data_offsets span {}", in_quotes(name_), *bytes,
           tensor_.end - tensor_.begin);
    }
    header_.tensors.push_back(std::move(tensor_));
  }

  const std::string_view text_;
  const std::size_t offset_;
  const std::string_view path_;
  const char* reached_;

  Header header_;
  Place place_ = Place::outside;
  std::set<std::string> names_;
  std::string name_;   // the last key at the top level
  std::string field_;  // the last key within a tensor or the metadata
  TensorInfo tensor_;
  std::set<std::string> fields_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace

Header parse_json(std::string_view text, std::size_t offset, std::string_view path) {
  // nlohmann treats a zero byte as the end and would ignore what follows.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos) {
    throw RunError("safetensors", "{}: the header is not JSON: a zero byte, at offset {}", path, offset + zero);
  }
  Handler handler(text, offset, path);
  json::sax_parse(handler.begin(), handler.end(), &handler);
  return handler.take();
}

std::string in_quotes(std::string_view text) { return fmt::format("\"{}\"", printable(text, 80)); }

}  // namespace trainyard::safetensors
