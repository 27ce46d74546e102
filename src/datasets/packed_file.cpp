#include "datasets/packed_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

#include <nlohmann/json.hpp>

#include "datasets/fingerprint.h"
#include "util/error.h"
#include "util/json_text.h"
#include "util/random.h"

namespace trainyard {
namespace {

static_assert(std::endian::native == std::endian::little, "the structures of a packed file are read as they are");

constexpr const char* where = "packed";
constexpr std::size_t max_description = std::size_t{64} << 20;

std::uint32_t crc32_of_trailer(const PackedTrailer& trailer) {
  return crc32_of(std::as_bytes(std::span(&trailer, 1)).first(offsetof(PackedTrailer, crc32)));
}

nlohmann::json to_json(const PackedDescription& description) {
  return {{"kind", description.encoded ? "files" : "elements"},
          {"dtype", description.sample.dtype == DType::uint8 ? "uint8" : "float32"},
          {"shape", description.sample.shape},
          {"class_names", description.class_names},
          {"mean", description.mean},
          {"std", description.std}};
}

PackedDescription from_json(const nlohmann::json& json) {
  PackedDescription description;
  description.encoded = json.at("kind") == "files";
  description.sample.name = "image";
  description.sample.dtype = json.at("dtype") == "uint8" ? DType::uint8 : DType::float32;
  description.sample.shape = json.at("shape").get<std::vector<std::int64_t>>();
  description.class_names = json.at("class_names").get<std::vector<std::string>>();
  description.mean = json.at("mean").get<std::vector<float>>();
  description.std = json.at("std").get<std::vector<float>>();
  return description;
}

// Whether its words are those that this version writes.
bool has_known_words(const nlohmann::json& json) {
  const nlohmann::json& kind = json.at("kind");
  const nlohmann::json& dtype = json.at("dtype");
  return (kind == "files" || kind == "elements") && (dtype == "uint8" || dtype == "float32");
}

// One mean and one deviation above 0 for each channel.
bool has_statistics(const PackedDescription& description) {
  const std::vector<std::int64_t>& shape = description.sample.shape;
  const std::size_t channels = shape.size() == 3 ? static_cast<std::size_t>(shape[2]) : description.mean.size();
  return description.mean.size() == channels && description.std.size() == channels &&
         std::all_of(description.std.begin(), description.std.end(), [](float std) { return std > 0; });
}

// Elements of a shape, and that they are few enough for a record.
bool is_sane(const Field& sample, bool encoded) {
  constexpr std::int64_t most = std::int64_t{1} << 40;
  std::int64_t elements = 4;
  for (std::size_t i = 0; i < sample.shape.size(); ++i) {
    const bool may_differ = sample.shape.size() == 3 && i < 2 && sample.dtype == DType::uint8;
    if (sample.shape[i] < (may_differ ? 0 : 1)) return false;
    if (sample.shape[i] > 0 && elements > most / sample.shape[i]) return false;
    elements *= std::max<std::int64_t>(sample.shape[i], 1);
  }
  return !encoded || (sample.shape.size() == 3 && (sample.shape[2] == 1 || sample.shape[2] == 3));
}

}  // namespace

PackedFile::PackedFile(const std::string& path) : PackedFile(open_regular_file(path, where), path) {}

PackedFile::PackedFile(UniqueFd file, std::string path) : file_(std::move(file)), path_(std::move(path)) {
  size_ = regular_file_size(file_.get(), where, path_);
  read_trailer();
  read_index();
  read_description();
  for (std::size_t i = 0; i < records_.size(); ++i) check_record(i);
}

void PackedFile::refuse(std::string_view what) const { throw RunError(where, "{}: {}: pack it again", path_, what); }

// After it, index and description lie inside of the file.
void PackedFile::read_trailer() {
  std::array<char, sizeof packed_magic> magic{};
  read_at(file_.get(), std::as_writable_bytes(std::span(magic)), 0, where, path_);
  if (size_ < sizeof packed_magic + sizeof trailer_ || std::memcmp(magic.data(), packed_magic, magic.size()) != 0) {
    refuse("is no packed file, which begins with TYPACKED");
  }
  const std::uint64_t end = size_ - sizeof trailer_;
  read_at(file_.get(), std::as_writable_bytes(std::span(&trailer_, 1)), end, where, path_);
  if (std::memcmp(trailer_.magic, packed_magic, sizeof packed_magic) != 0) refuse("has been cut off");
  if (trailer_.version != packed_version) refuse("is of another version of the format");
  if (trailer_.crc32 != crc32_of_trailer(trailer_)) refuse("has a damaged trailer");
  if (trailer_.index_offset % packed_alignment != 0 || trailer_.index_offset > end ||
      trailer_.records > (end - trailer_.index_offset) / sizeof(PackedRecord) || trailer_.description_offset > end ||
      trailer_.description_size > std::min<std::uint64_t>(end - trailer_.description_offset, max_description)) {
    refuse("has an index or a description outside of it");
  }
}

void PackedFile::read_index() {
  records_.resize(trailer_.records);
  const std::span<std::byte> index = std::as_writable_bytes(std::span(records_));
  read_at(file_.get(), index, trailer_.index_offset, where, path_);
  if (crc32_of(index) != trailer_.index_crc32) refuse("has a damaged index");
}

void PackedFile::read_description() {
  std::string text(trailer_.description_size, '\0');
  const std::span<std::byte> bytes = std::as_writable_bytes(std::span(text));
  read_at(file_.get(), bytes, trailer_.description_offset, where, path_);
  if (crc32_of(bytes) != trailer_.description_crc32) refuse("has a damaged description");
  const nlohmann::json description = json_from(text);
  if (description.is_discarded()) refuse("has a description that is not JSON");
  try {
    if (!has_known_words(description)) refuse("has a description of another kind or type than is read");
    description_ = from_json(description);
  } catch (const nlohmann::json::exception& error) {
    refuse(error.what());
  }
  if (!is_sane(description_.sample, description_.encoded)) refuse("describes samples of an impossible shape");
  if (!has_statistics(description_)) refuse("lacks the mean or the deviation of a channel");
}

void PackedFile::check_record(std::size_t number) const {
  const PackedRecord& record = records_[number];
  const Field& sample = description_.sample;
  const auto refuse = [&](std::string_view what) { this->refuse(fmt::format("record {} {}", number, what)); };
  if (record.offset > trailer_.index_offset || record.size > trailer_.index_offset - record.offset) {
    refuse("lies outside of the file");
  }
  if (record.label >= description_.class_names.size()) refuse("has a label without a name");
  if (description_.encoded) return;
  std::uint64_t size = sample.bytes();
  if (size == 0) {
    constexpr std::uint32_t most = 1 << 20;
    if (record.height == 0 || record.width == 0 || record.height > most || record.width > most) {
      refuse("has an impossible size");
    }
    size = std::uint64_t{record.height} * record.width * static_cast<std::uint64_t>(sample.shape[2]);
  } else if (sample.shape.size() == 3 && sample.dtype == DType::uint8 &&
             (record.height != sample.shape[0] || record.width != sample.shape[1])) {
    refuse("has another size than the description says");
  }
  if (record.size != size) refuse("has another number of bytes than its shape needs");
}

std::uint64_t PackedFile::fingerprint() const {
  return key_of({key_of("packed"), trailer_.records, trailer_.index_crc32, trailer_.description_crc32,
                 trainyard::fingerprint(0, std::as_bytes(std::span(records_)))});
}

void PackedFile::read(std::size_t record, std::span<std::byte> out) const {
  const std::size_t count = read_at(file_.get(), out, records_[record].offset, where, path_);
  if (count < out.size()) refuse(fmt::format("record {} has been cut off", record));
}

void PackedFile::verify() const {
  Scratch scratch;
  for (std::size_t i = 0; i < records_.size(); ++i) {
    const PackedRecord& record = records_[i];
    const std::span<std::byte> bytes = scratch.take(record.size);
    read(i, bytes);
    if (const std::uint32_t sum = crc32_of(bytes); sum != record.crc32) {
      throw RunError(where, "{}: record {}, {} bytes at byte {}, is damaged: its checksum is {:08x}, expected {:08x}",
                     path_, i, record.size, record.offset, sum, record.crc32);
    }
  }
}

PackedWriter::PackedWriter(FileWriter& file) : file_(file) { write(std::as_bytes(std::span(packed_magic))); }

void PackedWriter::write(std::span<const std::byte> bytes) {
  file_.write(bytes);
  written_ += bytes.size();
}

void PackedWriter::pad() {
  static constexpr std::array<std::byte, packed_alignment> zeros{};
  write(std::span(zeros).first((packed_alignment - written_ % packed_alignment) % packed_alignment));
}

void PackedWriter::add(std::span<const std::byte> record, std::optional<ImageSize> size, std::int64_t label) {
  if (label < 0 || label > std::numeric_limits<std::uint32_t>::max()) {
    throw RunError("packed", "label {} of record {} is out of range, expected 0 to 4294967295", label, records_.size());
  }
  pad();
  const ImageSize extent = size.value_or(ImageSize{});
  records_.push_back({written_, record.size(), crc32_of(record), static_cast<std::uint32_t>(label),
                      static_cast<std::uint32_t>(extent.height), static_cast<std::uint32_t>(extent.width)});
  write(record);
}

void PackedWriter::finish(PackedDescription description) {
  Field& sample = description.sample;
  if (sample.shape.size() == 3 && sample.dtype == DType::uint8) {
    const bool same = std::all_of(records_.begin(), records_.end(), [&](const PackedRecord& record) {
      return record.height == records_.front().height && record.width == records_.front().width;
    });
    const bool fixed = same && !description.encoded && !records_.empty();
    sample.shape[0] = fixed ? records_.front().height : 0;
    sample.shape[1] = fixed ? records_.front().width : 0;
  }
  PackedTrailer trailer{};
  pad();
  trailer.records = records_.size();
  trailer.index_offset = written_;
  const auto index = std::as_bytes(std::span(records_));
  trailer.index_crc32 = crc32_of(index);
  write(index);
  const std::string text = json_text(to_json(description));
  trailer.description_offset = written_;
  trailer.description_size = text.size();
  trailer.description_crc32 = crc32_of(std::as_bytes(std::span(text)));
  write(std::as_bytes(std::span(text)));
  trailer.version = packed_version;
  trailer.crc32 = crc32_of_trailer(trailer);
  std::memcpy(trailer.magic, packed_magic, sizeof packed_magic);
  write(std::as_bytes(std::span(&trailer, 1)));
}

}  // namespace trainyard
