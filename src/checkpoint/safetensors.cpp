#include "checkpoint/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>
#include <set>

#include <nlohmann/json.hpp>

#include "checkpoint/foreign_format.h"
#include "checkpoint/safetensors_parser.h"
#include "util/error.h"
#include "util/json_text.h"

namespace trainyard::safetensors {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors data are little endian and copied as they are");

constexpr const char* metadata_key = "__metadata__";

struct TypeEntry {
  ElementType type;
  std::size_t size;
  std::string_view name;
};

constexpr std::array<TypeEntry, 17> types = {{
    {ElementType::boolean, 1, "BOOL"},
    {ElementType::u8, 1, "U8"},
    {ElementType::i8, 1, "I8"},
    {ElementType::f8_e5m2, 1, "F8_E5M2"},
    {ElementType::f8_e4m3, 1, "F8_E4M3"},
    {ElementType::f8_e8m0, 1, "F8_E8M0"},
    {ElementType::i16, 2, "I16"},
    {ElementType::u16, 2, "U16"},
    {ElementType::f16, 2, "F16"},
    {ElementType::bf16, 2, "BF16"},
    {ElementType::i32, 4, "I32"},
    {ElementType::u32, 4, "U32"},
    {ElementType::f32, 4, "F32"},
    {ElementType::i64, 8, "I64"},
    {ElementType::u64, 8, "U64"},
    {ElementType::f64, 8, "F64"},
    {ElementType::c64, 8, "C64"},
}};

const TypeEntry& entry_of(ElementType type) {
  return *std::find_if(types.begin(), types.end(), [type](const TypeEntry& entry) { return entry.type == type; });
}

// Requires that the tensors, in the order of their data, are contiguous from the first byte to the last.
void check_coverage(const Header& header, std::size_t file_size, std::string_view path) {
  std::vector<const TensorInfo*> by_place;
  for (const TensorInfo& tensor : header.tensors) by_place.push_back(&tensor);
  std::sort(by_place.begin(), by_place.end(), [](const TensorInfo* a, const TensorInfo* b) {
    return std::pair(a->begin, a->end) < std::pair(b->begin, b->end);
  });
  const std::size_t data_size = file_size - header.data_begin;
  std::size_t reached = 0;
  for (const TensorInfo* tensor : by_place) {
    if (tensor->begin < reached) {
      throw RunError("safetensors", "{}: tensor {} overlaps the one before it by {} bytes, at offset {}", path,
                     in_quotes(tensor->name), reached - tensor->begin, header.data_begin + tensor->begin);
    }
    if (tensor->begin > reached) {
      throw RunError("safetensors", "{}: a hole of {} bytes before tensor {}, at offset {}", path,
                     tensor->begin - reached, in_quotes(tensor->name), header.data_begin + reached);
    }
    if (tensor->end > data_size) {
      throw RunError("safetensors",
                     "{}: tensor {} ends {} bytes past the end of the file, at offset {}; is it cut off?", path,
                     in_quotes(tensor->name), tensor->end - data_size, file_size);
    }
    reached = tensor->end;
  }
  if (reached < data_size) {
    throw RunError("safetensors", "{}: {} bytes that belong to no tensor, at offset {}", path, data_size - reached,
                   header.data_begin + reached);
  }
}

}  // namespace

std::size_t size_of(ElementType type) { return entry_of(type).size; }

std::string_view name_of(ElementType type) { return entry_of(type).name; }

std::optional<ElementType> element_type_of(std::string_view name) {
  const auto* const found =
      std::find_if(types.begin(), types.end(), [name](const TypeEntry& entry) { return entry.name == name; });
  if (found == types.end()) return std::nullopt;
  return found->type;
}

std::optional<std::size_t> byte_size(ElementType type, std::span<const std::int64_t> shape) {
  auto bytes = static_cast<std::int64_t>(size_of(type));
  bool empty = false;
  for (const std::int64_t dimension : shape) {
    if (dimension < 0 || __builtin_mul_overflow(bytes, std::max<std::int64_t>(dimension, 1), &bytes)) {
      return std::nullopt;
    }
    empty = empty || dimension == 0;
  }
  return empty ? 0 : static_cast<std::size_t>(bytes);
}

Header parse_header(std::span<const std::byte> file, std::string_view path) {
  if (const auto what = explain_foreign_format(file, path)) throw RunError("safetensors", "{} {}", path, *what);
  std::uint64_t length = 0;
  if (file.size() < sizeof length) {
    throw RunError("safetensors", "{}: {} bytes, too few for the header's length, at offset 0", path, file.size());
  }
  std::memcpy(&length, file.data(), sizeof length);
  if (length > max_header_bytes) {
    throw RunError("safetensors", "{}: a header of {} bytes, over the limit of {}, at offset 0; is it safetensors?",
                   path, length, max_header_bytes);
  }
  if (length > file.size() - sizeof length) {
    throw RunError("safetensors", "{}: a header of {} bytes in a file of {}, at offset 0; is it cut off?", path, length,
                   file.size());
  }
  const auto text = file.subspan(sizeof length, length);
  if (text.empty() || text[0] != std::byte{'{'}) {
    throw RunError("safetensors", "{}: the header does not begin with '{{', at offset 8", path);
  }
  Header header = parse_json({reinterpret_cast<const char*>(text.data()), text.size()}, sizeof length, path);
  header.data_begin = sizeof length + length;
  check_coverage(header, file.size(), path);
  return header;
}

std::vector<std::size_t> lay_out(std::span<TensorInfo> tensors, std::string_view path) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return size_of(tensors[a].type) > size_of(tensors[b].type); });
  std::size_t reached = 0;
  for (const std::size_t index : order) {
    TensorInfo& tensor = tensors[index];
    const auto bytes = byte_size(tensor.type, tensor.shape);
    if (!bytes || *bytes > std::numeric_limits<std::size_t>::max() - reached) {
      throw RunError("safetensors", "{}: tensor {} has more bytes than 64 bits count", path, in_quotes(tensor.name));
    }
    tensor.begin = reached;
    tensor.end = reached += *bytes;
  }
  return order;
}

std::string format_header(std::span<const TensorInfo> tensors, const Metadata& metadata, std::string_view path) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  std::set<std::string_view> names;
  auto& object = json.get_ref<nlohmann::ordered_json::object_t&>();
  if (!metadata.empty()) object.push_back({metadata_key, metadata});
  for (const TensorInfo& tensor : tensors) {
    if (tensor.name.empty() || tensor.name == metadata_key || !names.insert(tensor.name).second) {
      throw RunError("safetensors", "{}: the tensor name {} is empty, reserved or used twice", path,
                     in_quotes(tensor.name));
    }
    object.push_back(
        {tensor.name,
         {{"dtype", name_of(tensor.type)}, {"shape", tensor.shape}, {"data_offsets", {tensor.begin, tensor.end}}}});
  }
  std::string text;
  try {
    text = json_text(json, -1, NotUtf8::refused);
  } catch (const nlohmann::json::exception& error) {
    throw RunError("safetensors", "{}: a name or a metadata string is not UTF-8: {}", path, error.what());
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  if (text.size() > max_header_bytes) {
    throw RunError("safetensors", "{}: the header takes {} bytes, over the limit of {}", path, text.size(),
                   max_header_bytes);
  }
  const std::uint64_t length = text.size();
  std::string result(sizeof length, '\0');
  std::memcpy(result.data(), &length, sizeof length);
  return result + text;
}

}  // namespace trainyard::safetensors
