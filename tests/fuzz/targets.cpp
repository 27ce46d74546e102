#include "fuzz/targets.h"

#include <algorithm>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "check/check.h"
#include "check/facts_json.h"
#include "check/render.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors.h"
#include "config/config_file.h"
#include "datasets/csv_reader.h"
#include "datasets/file_index.h"
#include "datasets/idx.h"
#include "datasets/packed_file.h"
#include "datasets/stored_images.h"
#include "datasets/tar.h"
#include "images/decode_image.h"
#include "support/memory_file.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "transforms/arguments.h"
#include "transforms/lazy_image.h"
#include "util/error.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

const TempDir& folder() {
  static const TempDir dir;
  return dir;
}

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

void require(bool condition) {
  if (!condition) std::abort();
}

void fuzz_idx(std::span<const std::byte> bytes) { read_idx(folder().write("idx", text_of(bytes)), {0}); }

void fuzz_cifar10(std::span<const std::byte> bytes) {
  folder().write("cifar/test_batch.bin", text_of(bytes));
  DataConfig config;
  config.name = "cifar10";
  config.root = folder() / "cifar";
  const auto dataset = make_dataset(config, Split::test);
  std::vector<std::byte> out(dataset->fields()[0].bytes());
  for (std::size_t i = 0; i < dataset->size(); ++i) require(read_field(*dataset, i, out) < 10);
}

// Rows that were read, written with every field in quotes, must read the same.
void fuzz_csv(std::span<const std::byte> bytes) {
  std::string written;
  const auto write = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      written += i == 0 ? "\"" : ",\"";
      for (const char c : row[i]) written += c == '"' ? std::string("\"\"") : std::string(1, c);
      written += '"';
    }
    written += '\n';
  };
  std::vector<std::vector<std::string>> rows;
  CsvReader reader(std::string(text_of(bytes)), "csv");
  write(reader.header());
  while (reader.next()) {
    require(reader.fields().size() == reader.header().size());
    rows.push_back(reader.fields());
    write(rows.back());
  }
  CsvReader again(written, "written");
  require(again.header() == reader.header());
  for (const std::vector<std::string>& row : rows) require(again.next() && again.fields() == row);
  require(!again.next());
}

void fuzz_index(std::span<const std::byte> bytes) {
  const FileIndex index = decode_index(bytes, "key");
  for (std::size_t i = 0; i < index.entries.size(); ++i) {
    require(index.entries[i].label < index.class_names.size());
    require(std::string_view(index.name_of(i)).size() <= index.names.size());
  }
}

void fuzz_tar(std::span<const std::byte> bytes) {
  for (const TarMember& member : read_tar(memory_file(bytes).get(), "tar").members) {
    require(member.offset <= bytes.size() && member.size <= bytes.size() - member.offset);
  }
}

void fuzz_packed(std::span<const std::byte> bytes) {
  const PackedFile file(memory_file(bytes), "packed");
  const std::vector<PackedField>& fields = file.description().fields;
  for (std::size_t sample = 0; sample < file.samples(); ++sample) {
    for (std::size_t i = 0; i < fields.size(); ++i) {
      if (fields[i].kind == PackedKind::column) {
        require(file.column(sample, i).size() == fields[i].field.bytes());
      } else {
        require(file.record(sample, i).size <= bytes.size());
      }
    }
  }
  file.verify();
}

// The first bytes select the operations on the image.
void fuzz_image(std::span<const std::byte> bytes) {
  if (bytes.size() < 4) return;
  const auto option = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  const bool as_mask = option(0) >= 128;
  const auto reader = (as_mask ? ImageReader::open_mask : ImageReader::open)(bytes.subspan(4), "image", {});
  reader->layout_for_gpu();
  if (reader->size().height * reader->size().width > 1'000'000) return;  // slow, without testing more
  LazyImage::Memory memory;
  LazyImage image(*reader,
                  {.channels = as_mask || option(0) % 2 == 0 ? std::size_t{1} : std::size_t{3},
                   .mode = option(0) % 4 < 2 ? DecodeMode::exact : DecodeMode::scaled,
                   .nearest = as_mask},
                  memory);
  const ImageSize size = image.size();
  const std::size_t height = 1 + option(1) % size.height;
  const std::size_t width = 1 + option(2) % size.width;
  const Rect region{static_cast<std::ptrdiff_t>((size.height - height) * (option(3) % 16) / 16),
                    static_cast<std::ptrdiff_t>((size.width - width) * (option(3) / 16) / 16), height, width};
  image.frame({region, option(0) % 8 < 4 ? region.size() : ImageSize{17, 13}, Filter::bicubic});
  image.pixels();
}

void fuzz_safetensors(std::span<const std::byte> bytes) {
  const safetensors::Header header = safetensors::parse_header(bytes, "weights");
  for (const safetensors::TensorInfo& tensor : header.tensors) {
    require(tensor.begin <= tensor.end && tensor.end <= bytes.size() - header.data_begin);
  }
}

// Tests the text as it is, and with a correct checksum, so that it reaches the code behind the checksum.
void fuzz_manifest(std::span<const std::byte> bytes) {
  nlohmann::json json = json_from(text_of(bytes));
  if (!json.is_object()) parse_manifest(text_of(bytes), "manifest");
  json.erase("manifest_crc32");
  const std::string text = json_text(json);
  json["manifest_crc32"] = fmt::format("{:08x}", crc32_of(std::as_bytes(std::span(text))));
  const Manifest manifest = parse_manifest(json_text(json), "manifest");
  require(parse_manifest(to_json(manifest), "manifest") == manifest);
}

void fuzz_transform(std::span<const std::byte> bytes) { parse_transform(std::string(text_of(bytes))); }

// Returns whether the text has a control character: ASCII, or U+0080 to U+009F in UTF-8.
bool steers_terminals(std::string_view text) {
  unsigned char before = 0;
  for (const unsigned char c : text) {
    if (c < 0x20 || c == 0x7f || (before == 0xc2 && c < 0xa0)) return true;
    before = c;
  }
  return false;
}

// Like `trainyard check --facts` with a file from anywhere: reads it or refuses it with an error, judges and prints.
void fuzz_facts(std::span<const std::byte> bytes) {
  Recorded recorded;
  try {
    recorded = recorded_from_json(text_of(bytes));
  } catch (const UsageError& error) {
    require(!steers_terminals(error.what()));
    throw;
  }
  Needs needs = recorded.needs.value_or(Needs{});
  for (const char* device : {"auto", "cuda:0"}) {
    needs.device = device;
    const CheckResult result = judge(recorded.facts, needs);
    render_full(result, {.colour = true, .verbose = true});
    to_json_text(result);
  }
  explain_error(recorded.facts, needs, "cuda:0", recorded.facts.driver.init_error);
}

// A file for --config, or the configuration in a checkpoint's manifest: what is accepted must read back after writing.
void fuzz_config(std::span<const std::byte> bytes) {
  try {
    const Config config = config_from_toml(text_of(bytes), "x.toml");
    require(differences(config, config_from_toml(to_toml(config), "written")).empty());
  } catch (const UsageError& error) {
    require(!steers_terminals(error.what()));
    throw;
  }
}

// Errors thrown by Trainyard are valid results.
template <FuzzTarget target>
void guarded(std::span<const std::byte> bytes) {
  try {
    target(bytes);
  } catch (const Error&) {
    return;
  }
}

}  // namespace

const std::map<std::string, FuzzTarget>& fuzz_targets() {
  static const std::map<std::string, FuzzTarget> targets = {
      {"cifar10", guarded<fuzz_cifar10>},   {"config", guarded<fuzz_config>},
      {"csv", guarded<fuzz_csv>},           {"facts", guarded<fuzz_facts>},
      {"idx", guarded<fuzz_idx>},           {"image", guarded<fuzz_image>},
      {"index", guarded<fuzz_index>},       {"packed", guarded<fuzz_packed>},
      {"manifest", guarded<fuzz_manifest>}, {"safetensors", guarded<fuzz_safetensors>},
      {"tar", guarded<fuzz_tar>},           {"transform", guarded<fuzz_transform>}};
  return targets;
}

}  // namespace trainyard
