#include "datasets/packed_file.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include <nlohmann/json.hpp>

#include "datasets/column_json.h"
#include "datasets/dataset.h"
#include "datasets/fingerprint.h"
#include "util/error.h"
#include "util/json_text.h"
#include "util/printable.h"
#include "util/random.h"

namespace trainyard {
namespace {

constexpr const char* where = "packed";
constexpr std::size_t max_description = std::size_t{64} << 20;
std::optional<DType> dtype_in(const nlohmann::json& field) {
  const auto* const name = field.at("dtype").get_ptr<const std::string*>();
  return name == nullptr ? std::nullopt : dtype_of(*name);
}

// Returns nullopt if a word in it is unknown.
std::optional<PackedField> field_from(const nlohmann::json& json) {
  constexpr auto& kinds = all_words<PackedKind>;
  const auto kind = std::find(kinds.begin(), kinds.end(), json.at("kind"));
  const std::optional<DType> dtype = dtype_in(json);
  if (kind == kinds.end() || !dtype) return std::nullopt;
  PackedField packed{.field = {.name = json.at("name"),
                               .dtype = *dtype,
                               .shape = json.at("shape").get<std::vector<std::int64_t>>(),
                               .varies = json.at("varies").get<bool>()},
                     .kind = static_cast<PackedKind>(kind - kinds.begin())};
  packed.field.is_stored_image = packed.kind == PackedKind::pixels || packed.kind == PackedKind::files;
  if (const auto count = json.find("values"); count != json.end()) {
    packed.field.values = ValueRange{count->get<std::int64_t>()};
  }
  if (const auto ignored = json.find("ignored"); ignored != json.end() && packed.field.values) {
    packed.field.values->ignored = ignored->get<std::int64_t>();
  }
  if (const auto columns = json.find("columns"); columns != json.end()) {
    packed.field.columns = columns->get<std::vector<Column>>();
  }
  return packed;
}

// Version 1: one field, here called image, and the label in the index.
std::optional<PackedField> field_from_version_1(const nlohmann::json& json) {
  const nlohmann::json& kind = json.at("kind");
  const std::optional<DType> dtype = dtype_in(json);
  if ((kind != "files" && kind != "elements") || (dtype != DType::uint8 && dtype != DType::float32)) {
    return std::nullopt;
  }
  PackedField packed{
      .field = {.name = "image", .dtype = *dtype, .shape = json.at("shape").get<std::vector<std::int64_t>>()},
      .kind = PackedKind::elements};
  if (kind == "files") packed.kind = PackedKind::files;
  const std::vector<std::int64_t>& shape = packed.field.shape;
  const bool any_size = shape.size() == 3 && (shape[0] == 0 || shape[1] == 0);
  if (kind != "files" && any_size) packed.kind = PackedKind::pixels;
  packed.field.is_stored_image = packed.kind != PackedKind::elements;
  if (packed.field.is_stored_image && shape.size() == 3) packed.field.shape[0] = packed.field.shape[1] = 0;
  return packed;
}

// Whether there is one mean and one positive deviation for each channel of the image.
bool has_statistics(const PackedDescription& description) {
  std::size_t channels = description.mean.size();
  for (const PackedField& packed : description.fields) {
    const Field& field = packed.field;
    if (field.name == "image" && field.shape.size() == 3) channels = static_cast<std::size_t>(field.shape[2]);
  }
  const bool fit = description.mean.empty() || description.mean.size() == channels;
  return fit && description.std.size() == description.mean.size() &&
         std::all_of(description.std.begin(), description.std.end(), [](float std) { return std > 0; });
}

// Returns what is wrong with the field; empty if nothing is. If it is empty, the bytes of a sample cannot overflow 64
// bits.
std::string_view flaw_of(const PackedField& packed) {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  const Field& field = packed.field;
  if (field.name.empty()) return "has no name";
  if (field.shape.size() > 8) return "has an impossible shape";
  std::int64_t elements = 8;
  for (std::size_t i = 0; i < field.shape.size(); ++i) {
    const bool may_differ = field.is_stored_image && i < 2;
    if (may_differ ? field.shape[i] != 0 : field.shape[i] < 1) return "has an impossible shape";
    if (field.shape[i] > 0 && elements > most / field.shape[i]) return "has an impossible shape";
    elements *= std::max<std::int64_t>(field.shape[i], 1);
  }
  if (field.varies && (field.shape.empty() || packed.kind != PackedKind::elements)) return "cannot vary";
  if (field.is_stored_image && !field.is_spatial()) return "is neither an image nor a mask";
  const bool readable = !field.is_stored_image || field.is_mask() || field.shape[2] == 1 || field.shape[2] == 3;
  if (packed.kind == PackedKind::files && !readable) return "has files of other than 1 or 3 channels";
  if (packed.kind == PackedKind::column && field.bytes() > max_column_bytes) return "is too large for a column";
  if (field.values && (is_floating_point(field.dtype) || field.values->count < 0)) return "has an impossible range";
  return columns_error(field);
}

}  // namespace

PackedFile::PackedFile(const std::string& path) : PackedFile(open_regular_file(path, where), path) {}

PackedFile::PackedFile(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {
  bytes_ = regular_file_size(file_.get(), where, path_);
  read_trailer();
  read_description();
  read_index();
  for (std::size_t sample = 0; sample < samples(); ++sample) {
    for (std::size_t field = 0; field < description_.fields.size(); ++field) {
      if (description_.fields[field].kind != PackedKind::column) check_record(sample, field);
    }
  }
}

void PackedFile::refuse(std::string_view what) const { throw RunError(where, "{}: {}: pack it again", path_, what); }

// Guarantees that the description lies within the file.
void PackedFile::read_trailer() {
  std::array<char, sizeof packed_magic> magic{};
  read_at(file_.get(), std::as_writable_bytes(std::span(magic)), 0, where, path_);
  if (bytes_ < sizeof packed_magic + sizeof trailer_ || std::memcmp(magic.data(), packed_magic, magic.size()) != 0) {
    refuse("is not a packed file, which begins with TYPACKED");
  }
  const std::uint64_t end = bytes_ - sizeof trailer_;
  read_at(file_.get(), std::as_writable_bytes(std::span(&trailer_, 1)), end, where, path_);
  if (std::memcmp(trailer_.magic, packed_magic, sizeof packed_magic) != 0) refuse("has been cut off");
  if (trailer_.version != 1 && trailer_.version != packed_version) refuse("is of another version of the format");
  if (trailer_.crc32 != crc32_of(trailer_)) refuse("has a damaged trailer");
  if (trailer_.index_offset % packed_alignment != 0 || trailer_.index_offset > end ||
      trailer_.description_offset > end ||
      trailer_.description_size > std::min<std::uint64_t>(end - trailer_.description_offset, max_description)) {
    refuse("has an index or a description outside of it");
  }
}

void PackedFile::read_description() {
  std::string text(trailer_.description_size, '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
  read_at(file_.get(), bytes, trailer_.description_offset, where, path_);
  if (crc32_of(bytes) != trailer_.description_crc32) refuse("has a damaged description");
  const nlohmann::json json = json_from(text);
  if (json.is_discarded()) refuse("has a description that is not JSON");
  try {
    const bool one = trailer_.version == 1;
    const nlohmann::json fields = one ? nlohmann::json::array({json}) : json.at("fields");
    for (const nlohmann::json& field : fields) {
      std::optional<PackedField> packed = one ? field_from_version_1(field) : field_from(field);
      if (!packed) refuse("has a description of another kind or type than is read");
      description_.fields.push_back(std::move(*packed));
    }
    description_.class_names = json.at("class_names").get<std::vector<std::string>>();
    description_.mean = json.at("mean").get<std::vector<float>>();
    description_.std = json.at("std").get<std::vector<float>>();
    if (one) description_.fields.push_back({label_field(description_.class_names.size()), PackedKind::column});
  } catch (const nlohmann::json::exception& error) {
    refuse(error.what());
  }
  if (description_.fields.empty() || description_.fields.size() > max_fields) {
    refuse(fmt::format("describes {} fields, expected 1 to {}", description_.fields.size(), max_fields));
  }
  for (const PackedField& packed : description_.fields) {
    if (const std::string_view flaw = flaw_of(packed); !flaw.empty()) {
      refuse(fmt::format("describes a field '{}' that {}", printable(packed.field.name), flaw));
    }
    const auto has_its_name = [&](const PackedField& other) { return other.field.name == packed.field.name; };
    if (std::count_if(description_.fields.begin(), description_.fields.end(), has_its_name) > 1) {
      refuse(fmt::format("describes two fields of the name '{}'", printable(packed.field.name)));
    }
  }
  if (!has_statistics(description_)) refuse("lacks the mean or the deviation of a channel");
}

void PackedFile::read_index() {
  const bool one = trailer_.version == 1;
  std::uint64_t column_bytes = 0;  // per sample
  for (const PackedField& packed : description_.fields) {
    const bool column = packed.kind == PackedKind::column;
    record_of_.push_back(record_fields_);
    record_fields_ += column ? 0 : 1;
    column_bytes += column && !one ? packed.field.bytes() : 0;
  }
  const std::uint64_t sample_bytes = record_fields_ * sizeof(PackedRecord) + column_bytes;
  const std::uint64_t room = bytes_ - sizeof trailer_ - trailer_.index_offset;
  if (trailer_.samples > room / std::max<std::uint64_t>(sample_bytes, 1)) refuse("has an index outside of it");

  records_.resize(trailer_.samples * record_fields_);
  std::vector<std::byte> columns(trailer_.samples * column_bytes);
  const std::span<std::byte> records = std::as_writable_bytes(std::span(records_));
  read_at(file_.get(), records, trailer_.index_offset, where, path_);
  read_at(file_.get(), columns, trailer_.index_offset + records.size(), where, path_);
  if (crc32_of(columns, crc32_of(records)) != trailer_.index_crc32) refuse("has a damaged index");
  fingerprint_ = key_of({key_of("packed"), trailer_.samples, trailer_.index_crc32, trailer_.description_crc32,
                         trainyard::fingerprint(0, records)});
  if (!one) fingerprint_ = trainyard::fingerprint(fingerprint_, columns);

  take_columns(columns);
}

// Version 1 has no columns; its labels are in the records.
void PackedFile::take_columns(std::span<const std::byte> bytes) {
  for (const PackedField& packed : description_.fields) {
    std::vector<std::byte>& column = columns_.emplace_back();
    if (packed.kind != PackedKind::column) continue;
    column.resize(trailer_.samples * packed.field.bytes());
    if (trailer_.version == 1) {
      for (std::size_t i = 0; i < records_.size(); ++i) {
        const std::int64_t label = records_[i].label;
        std::memcpy(column.data() + i * sizeof label, &label, sizeof label);
      }
    } else {
      std::memcpy(column.data(), bytes.data(), column.size());
      bytes = bytes.subspan(column.size());
    }
    check_values(packed.field, column);
  }
}

void PackedFile::check_values(const Field& field, std::span<const std::byte> column) const {
  for (std::size_t i = 0; i < samples(); ++i) {
    const std::string error = values_error(field, column.subspan(i * field.bytes(), field.bytes()));
    if (!error.empty()) refuse(fmt::format("sample {}: {}", i, error));
  }
}

void PackedFile::check_record(std::size_t sample, std::size_t field) const {
  const PackedRecord& record = this->record(sample, field);
  const PackedField& packed = description_.fields[field];
  const auto refuse = [&](std::string_view what) {
    this->refuse(fmt::format("the field {} of sample {} {}", printable(packed.field.name), sample, what));
  };
  if (record.offset > trailer_.index_offset || record.size > trailer_.index_offset - record.offset) {
    refuse("lies outside of the file");
  }
  std::uint64_t size = record.size;
  if (packed.kind == PackedKind::pixels) {
    constexpr std::uint32_t most = 1 << 20;
    if (record.height == 0 || record.width == 0 || record.height > most || record.width > most) {
      refuse("has an impossible size");
    }
    size = std::uint64_t{record.height} * record.width * channels_of(packed.field);
  } else if (packed.kind == PackedKind::elements && packed.field.varies) {
    if (record.size > packed.field.bytes() || record.size % packed.field.row_bytes() != 0) {
      refuse("has another number of bytes than whole rows need");
    }
  } else if (packed.kind == PackedKind::elements) {
    size = packed.field.bytes();
    if (packed.field.is_image() && ImageSize{record.height, record.width} != image_size(packed.field)) {
      refuse("has another size than the description says");
    }
  }
  if (record.size != size) refuse("has another number of bytes than its shape needs");
}

void PackedFile::read(std::size_t sample, std::size_t field, std::span<std::byte> out) const {
  const std::size_t count = read_at(file_.get(), out, record(sample, field).offset, where, path_);
  if (count < out.size()) {
    refuse(fmt::format("the field {} of sample {} has been cut off", printable(description_.fields[field].field.name),
                       sample));
  }
}

void PackedFile::verify() const {
  Scratch scratch;
  for (std::size_t sample = 0; sample < samples(); ++sample) {
    for (std::size_t field = 0; field < description_.fields.size(); ++field) {
      if (description_.fields[field].kind == PackedKind::column) continue;
      const PackedRecord& record = this->record(sample, field);
      const std::span<std::byte> bytes = scratch.take(record.size);
      read(sample, field, bytes);
      if (const std::uint32_t sum = crc32_of(bytes); sum != record.crc32) {
        throw RunError(
            where,
            "{}: the field {} of sample {}, {} bytes at byte {}, is damaged: its checksum is {:08x}, expected "
            "{:08x}",
            path_, printable(description_.fields[field].field.name), sample, record.size, record.offset, sum,
            record.crc32);
      }
    }
  }
}

}  // namespace trainyard
