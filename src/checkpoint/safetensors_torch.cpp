#include "checkpoint/safetensors_torch.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "checkpoint/safetensors_parser.h"
#include "util/error.h"
#include "util/system.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using safetensors::ElementType;

constexpr std::array<std::pair<ElementType, at::ScalarType>, 17> types = {{
    {ElementType::boolean, at::kBool},
    {ElementType::u8, at::kByte},
    {ElementType::i8, at::kChar},
    {ElementType::f8_e5m2, at::kFloat8_e5m2},
    {ElementType::f8_e4m3, at::kFloat8_e4m3fn},
    {ElementType::f8_e8m0, at::kFloat8_e8m0fnu},
    {ElementType::i16, at::kShort},
    {ElementType::u16, at::kUInt16},
    {ElementType::f16, at::kHalf},
    {ElementType::bf16, at::kBFloat16},
    {ElementType::i32, at::kInt},
    {ElementType::u32, at::kUInt32},
    {ElementType::f32, at::kFloat},
    {ElementType::i64, at::kLong},
    {ElementType::u64, at::kUInt64},
    {ElementType::f64, at::kDouble},
    {ElementType::c64, at::kComplexFloat},
}};

at::ScalarType scalar_type_of(ElementType type) {
  return std::find_if(types.begin(), types.end(), [type](const auto& pair) { return pair.first == type; })->second;
}

safetensors::TensorInfo info_of(const std::string& name, const at::Tensor& tensor, std::string_view path) {
  if (!tensor.defined() || tensor.layout() != at::kStrided) {
    throw RunError("safetensors", "{}: tensor {} is undefined or not dense; only dense ones can be written", path,
                   safetensors::in_quotes(name));
  }
  const auto* const found =
      std::find_if(types.begin(), types.end(), [&](const auto& pair) { return pair.second == tensor.scalar_type(); });
  if (found == types.end()) {
    throw RunError("safetensors", "{}: tensor {} is of type {}, which the format lacks", path,
                   safetensors::in_quotes(name), c10::toString(tensor.scalar_type()));
  }
  return {.name = name, .type = found->first, .shape = tensor.sizes().vec(), .begin = 0, .end = 0};
}

}  // namespace

NamedTensors parse_safetensors(std::span<const std::byte> file, std::string_view path) {
  const safetensors::Header header = safetensors::parse_header(file, path);
  const auto data = file.subspan(header.data_begin);
  NamedTensors tensors;
  tensors.reserve(header.tensors.size());
  for (const auto& info : header.tensors) {
    at::Tensor tensor = at::empty(info.shape, scalar_type_of(info.type));
    const auto bytes = data.subspan(info.begin, info.end - info.begin);
    if (!bytes.empty()) std::memcpy(tensor.mutable_data_ptr(), bytes.data(), bytes.size());
    tensors.emplace_back(info.name, std::move(tensor));
  }
  return tensors;
}

NamedTensors load_safetensors(const std::filesystem::path& path) {
  const Mapping mapping = Mapping::read_only_file(path.string(), "safetensors");
  return parse_safetensors(mapping.bytes(), path.string());
}

void write_safetensors(FileWriter& file, const NamedTensors& tensors, const safetensors::Metadata& metadata,
                       std::string_view path) {
  std::vector<safetensors::TensorInfo> infos;
  infos.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) infos.push_back(info_of(name, tensor, path));
  const std::vector<std::size_t> order = safetensors::lay_out(infos, path);
  file.write(safetensors::format_header(infos, metadata, path));
  for (const std::size_t index : order) {
    // A conjugated or negated view is lazy: its memory does not hold its values.
    const at::Tensor dense = tensors[index].second.detach().cpu().resolve_conj().resolve_neg().contiguous();
    file.write(std::span(static_cast<const std::byte*>(dense.const_data_ptr()), dense.nbytes()));
  }
}

FileDigest save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors) {
  return write_file_atomically(
      path, [&](FileWriter& file) { write_safetensors(file, tensors, {{"format", "pt"}}, path.string()); });
}

}  // namespace trainyard
