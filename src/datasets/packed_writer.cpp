#include "datasets/packed_writer.h"

#include <array>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "datasets/column_json.h"
#include "util/error.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

// A field is stored as a column if every sample has the same small number of bytes.
bool is_column(const Field& field) {
  return !field.varies && !field.is_stored_image && field.bytes() <= max_column_bytes && field.shape.size() < 2;
}

nlohmann::json to_json(const PackedField& packed) {
  nlohmann::json json = {{"name", packed.field.name},
                         {"kind", word(packed.kind)},
                         {"dtype", to_string(packed.field.dtype)},
                         {"shape", packed.field.shape},
                         {"varies", packed.field.varies}};
  if (packed.field.values) json["values"] = packed.field.values->count;
  if (packed.field.values && packed.field.values->ignored) json["ignored"] = *packed.field.values->ignored;
  if (!packed.field.columns.empty()) json["columns"] = packed.field.columns;
  return json;
}

}  // namespace

PackedWriter::PackedWriter(FileWriter& file, std::vector<Field> fields)
    : file_(file),
      fields_(std::move(fields)),
      columns_(fields_.size()),
      is_encoded_(fields_.size()),
      sizes_(fields_.size()),
      sizes_differ_(fields_.size()) {
  write(std::as_bytes(std::span(packed_magic)));
}

void PackedWriter::write(std::span<const std::byte> bytes) {
  file_.write(bytes);
  written_ += bytes.size();
}

void PackedWriter::pad() {
  static constexpr std::array<std::byte, packed_alignment> zeros{};
  write(std::span(zeros).first((packed_alignment - written_ % packed_alignment) % packed_alignment));
}

void PackedWriter::add(std::span<const FieldToPack> sample) {
  for (std::size_t i = 0; i < fields_.size(); ++i) {
    const auto& [bytes, size, is_encoded] = sample[i];
    if (is_column(fields_[i])) {
      columns_[i].insert(columns_[i].end(), bytes.begin(), bytes.end());
      continue;
    }
    if (samples_ > 0 && is_encoded != is_encoded_[i]) {
      throw RunError("packed", "the field {} of sample {} is {}, those before are not: pack with --as raw or --as jpeg",
                     fields_[i].name, samples_, is_encoded ? "a file" : "pixels");
    }
    is_encoded_[i] = is_encoded;
    sizes_differ_[i] = sizes_differ_[i] || (sizes_[i] && *sizes_[i] != size);
    sizes_[i] = size;
    pad();
    records_.push_back({written_, bytes.size(), crc32_of(bytes), 0, static_cast<std::uint32_t>(size.height),
                        static_cast<std::uint32_t>(size.width)});
    write(bytes);
  }
  ++samples_;
}

PackedField PackedWriter::description_of(std::size_t field) const {
  PackedField packed{.field = fields_[field], .kind = PackedKind::elements};
  if (is_column(packed.field)) {
    packed.kind = PackedKind::column;
  } else if (packed.field.is_spatial()) {
    packed.kind = is_encoded_[field]     ? PackedKind::files
                  : sizes_differ_[field] ? PackedKind::pixels
                                         : PackedKind::elements;
    const ImageSize size = packed.kind == PackedKind::elements ? sizes_[field].value_or(ImageSize()) : ImageSize();
    packed.field.shape[0] = static_cast<std::int64_t>(size.height);
    packed.field.shape[1] = static_cast<std::int64_t>(size.width);
  }
  return packed;
}

void PackedWriter::finish(const std::vector<std::string>& class_names, const std::vector<float>& mean,
                          const std::vector<float>& std) {
  nlohmann::json description = {
      {"fields", nlohmann::json::array()}, {"class_names", class_names}, {"mean", mean}, {"std", std}};
  for (std::size_t i = 0; i < fields_.size(); ++i) description["fields"].push_back(to_json(description_of(i)));
  PackedTrailer trailer{};
  pad();
  trailer.samples = samples_;
  trailer.index_offset = written_;
  const auto index = std::as_bytes(std::span(records_));
  trailer.index_crc32 = crc32_of(index);
  write(index);
  for (const std::vector<std::byte>& column : columns_) {
    trailer.index_crc32 = crc32_of(column, trailer.index_crc32);
    write(column);
  }
  const std::string text = json_text(description);
  trailer.description_offset = written_;
  trailer.description_size = text.size();
  trailer.description_crc32 = crc32_of(std::as_bytes(std::span(text)));
  write(std::as_bytes(std::span(text)));
  trailer.version = packed_version;
  trailer.crc32 = crc32_of(trailer);
  std::memcpy(trailer.magic, packed_magic, sizeof packed_magic);
  write(std::as_bytes(std::span(&trailer, 1)));
}

}  // namespace trainyard
