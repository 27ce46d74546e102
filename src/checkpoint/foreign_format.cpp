#include "checkpoint/foreign_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>

#include <fmt/format.h>

#include "util/printable.h"

namespace trainyard {
namespace {

using namespace std::string_view_literals;

struct Format {
  std::size_t offset;
  std::string_view magic;
  std::string_view what;
  std::string_view advice;  // empty: convert it in Python
};

constexpr std::size_t longest_path = 4096;
constexpr std::string_view web_page_advice =
    "the download did not give the file; check the address and whether it needs a login";
constexpr std::string_view unpack_advice = "unpack it first";
constexpr std::string_view export_advice = "export the weights again as safetensors";

constexpr std::array formats = {
    Format{0, "version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file that it stands for",
           "run `git lfs pull` in its repository"},
    Format{0, "PK\x03\x04", "a zip archive, as torch.save writes it: pickled objects", ""},
    Format{0, "\x80\x02", "a pickle", ""},
    Format{0, "\x80\x03", "a pickle", ""},
    Format{0, "\x80\x04", "a pickle", ""},
    Format{0, "\x80\x05", "a pickle", ""},
    Format{0, "\x1f\x8b", "compressed with gzip", unpack_advice},
    Format{0, "BZh", "compressed with bzip2", unpack_advice},
    Format{0, "\xfd\x37zXZ\0"sv, "compressed with xz", unpack_advice},
    Format{0, "\x28\xb5\x2f\xfd", "compressed with zstd", unpack_advice},
    Format{257, "ustar", "a tar archive", unpack_advice},
    Format{0, "\x89HDF\r\n\x1a\n", "HDF5, as Keras writes it", export_advice},
    Format{0, "GGUF", "GGUF, as llama.cpp reads it", export_advice},
    Format{0, "\x93NUMPY", "a NumPy array", export_advice},
    Format{0, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv, "zeros from its first byte on",
           "it was not written to the end; copy or download it again"},
};

std::string_view begin_of(std::span<const std::byte> file) {
  return {reinterpret_cast<const char*>(file.data()), std::min<std::size_t>(file.size(), 512)};
}

// An eight-byte length below 2^32, then the header's JSON.
bool may_be_safetensors(std::string_view begin) {
  return begin.size() > 8 && begin.substr(4, 4) == "\0\0\0\0"sv && begin[8] == '{';
}

// A protocol buffer has no magic number; this is field 1, the format's version, followed by the producer's name or the
// graph.
bool is_onnx(std::string_view begin) {
  return begin.size() > 3 && begin[0] == '\x08' && begin[1] > 0 && begin[1] < 32 &&
         (begin[2] == '\x12' || begin[2] == '\x3a');
}

// HTML and JSON begin with a recognizable character after blanks.
std::optional<std::string_view> text_format(std::string_view begin) {
  if (begin.starts_with("\xef\xbb\xbf")) begin.remove_prefix(3);
  begin.remove_prefix(std::min(begin.find_first_not_of(" \t\r\n"), begin.size()));
  std::string lower(begin.substr(0, 16));
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char* tag : {"<!doctype", "<html", "<?xml", "<!--", "<head"}) {
    if (lower.starts_with(tag)) return "a web page";
  }
  if (lower.starts_with('{') || lower.starts_with('[')) return "JSON";
  return std::nullopt;
}

std::string conversion_advice(std::string_view path) {
  std::filesystem::path converted(path);
  converted.replace_extension(".safetensors");
  return fmt::format(
      "it is never unpickled here, as that can run any code; convert it with make weights FILE=..., or in Python:\n"
      "  import torch, safetensors.torch; weights = torch.load(\"{}\", map_location=\"cpu\", weights_only=True)\n"
      "  safetensors.torch.save_file(weights, \"{}\")\n"
      "If torch.load returns more than weights, pass the entry that holds them, such as weights[\"state_dict\"]",
      printable(path, longest_path), printable(converted.string(), longest_path));
}

}  // namespace

std::optional<std::string> explain_foreign_format(std::span<const std::byte> file, std::string_view path) {
  const std::string_view begin = begin_of(file);
  if (begin.empty()) return "is empty; it was not written to the end: copy or download it again";
  if (may_be_safetensors(begin)) return std::nullopt;
  for (const Format& format : formats) {
    if (begin.size() < format.offset || !begin.substr(format.offset).starts_with(format.magic)) continue;
    return fmt::format("is {}; {}", format.what,
                       format.advice.empty() ? conversion_advice(path) : std::string(format.advice));
  }
  if (is_onnx(begin)) return fmt::format("is ONNX; {}", export_advice);
  if (const auto text = text_format(begin)) {
    return fmt::format("is {}: {}; {}", *text, printable(begin, 80), web_page_advice);
  }
  return std::nullopt;
}

}  // namespace trainyard
