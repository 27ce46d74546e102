// Text files as bytes: <data.root> is a file, or a folder of files, which are concatenated in the order of their paths.
// The last part is test (data.text.test, a share), the part before it val (data.val). A folder with train.txt is read
// as <data.root>/train.txt, val.txt, test.txt instead; only train.txt is required.
//
// Samples are windows (datasets/token_windows.h); a token is a byte, 0 to 255.
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <set>

#include <fmt/ranges.h>
#include <sys/stat.h>

#include "config/component.h"
#include "datasets/litter.h"
#include "datasets/locate.h"
#include "datasets/split_names.h"
#include "datasets/token_windows.h"
#include "util/error.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

struct TextSettings {
  std::int64_t context = 128;
  double test = 0;

  void declare(SettingTable& table) {
    table.add("context", context, "bytes that the model sees at once; a sample has one more", whole(1, 1 << 20),
              Resume::fixed);
    table.add("test", test, "share of the bytes, from the end, used as the test split; 0: no test split",
              number(0, 0.9), Resume::fixed);
  }
};
const ComponentSettings<TextSettings> settings{"data.text", {"text"}, __FILE__};

constexpr const char* where = "text";
constexpr std::int64_t bytes_vocabulary = 256;

/// Text files, and other files found among them.
struct TextFiles {
  std::vector<std::shared_ptr<const Mapping>> files;
  std::vector<LeftOut> left_out;
};

/// What files of a compressed format have in common.
struct Compression {
  const char* name;
  std::size_t offset;
  std::string_view magic;
};
constexpr std::array compressions = {Compression{"gzip", 0, "\x1f\x8b"}, Compression{"zstd", 0, "\x28\xb5\x2f\xfd"},
                                     Compression{"xz", 0, "\xfd\x37zXZ"}, Compression{"bzip2", 4, "1AY&SY"},
                                     Compression{"zip", 0, "PK\x03\x04"}};

// Returns the format of a compressed file; null if it is another file.
const Compression* compression_of(std::span<const std::byte> bytes) {
  const auto* const found = std::ranges::find_if(compressions, [&](const Compression& format) {
    return bytes.size() >= format.offset + format.magic.size() &&
           std::memcmp(bytes.data() + format.offset, format.magic.data(), format.magic.size()) == 0;
  });
  return found == compressions.end() ? nullptr : found;
}

// A NUL byte in the first 4 KiB means that a file is not text, as for `grep` and `git`; a short compressed file may
// have none.
bool is_text(std::span<const std::byte> bytes) {
  const std::span<const std::byte> first = bytes.first(std::min<std::size_t>(bytes.size(), 4096));
  return std::ranges::find(first, std::byte{0}) == first.end() && compression_of(bytes) == nullptr;
}

void require_text(const fs::path& path, std::span<const std::byte> bytes) {
  if (is_text(bytes)) return;
  const Compression* const format = compression_of(bytes);
  throw UsageError("data.root", "{} is not text{}", path.string(),
                   format == nullptr ? ": it has a NUL byte in its first 4 KiB; save it as UTF-8, or give another file"
                                     : fmt::format(" but compressed by {}: decompress it", format->name));
}

std::vector<fs::path> paths_in(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink;
  for (auto entry = fs::recursive_directory_iterator(folder, options, error);
       entry != fs::recursive_directory_iterator() && !error; entry.increment(error)) {
    if (entry.depth() > 64) throw UsageError("data.root", "{} is deeper than 64 folders", entry->path().string());
    std::error_code ignored;
    if (!fs::is_directory(entry->path(), ignored)) paths.push_back(entry->path());
  }
  if (error) throw RunError(where, "{}: {}", folder.string(), error.message());
  std::sort(paths.begin(), paths.end());
  return paths;
}

// fortune(6) stores the offsets of its quotations in a .dat file next to each text.
bool is_index_of_fortunes(const fs::path& path) {
  std::error_code ignored;
  return path.extension() == ".dat" && fs::is_regular_file(fs::path(path).replace_extension(), ignored);
}

TextFiles files_in(const fs::path& folder) {
  TextFiles found;
  std::set<std::pair<dev_t, ino_t>> seen;
  for (const fs::path& path : paths_in(folder)) {
    const std::string name = path.lexically_relative(folder).string();
    struct stat status{};
    if (path_has_litter(name)) {
      leave_out(found.left_out, litter_reason, name);
    } else if (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
      leave_out(found.left_out, "no regular file", name);
    } else if (!seen.emplace(status.st_dev, status.st_ino).second || is_index_of_fortunes(path)) {
      leave_out(found.left_out, unneeded_reason, name);  // the first case is a second name of a file
    } else {
      auto file = std::make_shared<const Mapping>(Mapping::read_only_file(path.string(), where));
      if (is_text(file->bytes())) {
        found.files.push_back(std::move(file));
      } else {
        leave_out(found.left_out, "not text", name);
      }
    }
  }
  return found;
}

fs::path root_of(const DataConfig& config) {
  std::error_code ignored;
  if (!config.root.empty()) {
    if (fs::exists(config.root, ignored)) return config.root;
    throw UsageError("data.root", "there is no file or folder {}; set data.root to a text file or to a folder of them",
                     missing_path(config.root));
  }
  const std::vector<std::string> defaults = {"data/text", "data/text.txt", "/usr/share/games/fortunes"};
  for (const std::string& path : defaults) {
    if (fs::exists(path, ignored)) return path;
  }
  throw UsageError(
      "data.root",
      "no text is found in {}; install the package fortunes (apt-get install fortunes), or set data.root to "
      "a text file or to a folder of them",
      fmt::join(defaults, ", "));
}

TextFiles text_at(const fs::path& path) {
  std::error_code ignored;
  TextFiles found;
  if (fs::is_directory(path, ignored)) {
    found = files_in(path);
  } else {
    found.files.push_back(std::make_shared<const Mapping>(Mapping::read_only_file(path.string(), where)));
    require_text(path, found.files.front()->bytes());
  }
  const bool empty =
      std::all_of(found.files.begin(), found.files.end(), [](const auto& file) { return file->bytes().empty(); });
  if (!empty) return found;
  const std::string left_out = list_left_out(found.left_out);
  throw UsageError("data.root", "{} holds no text{}", path.string(), left_out.empty() ? "" : "; left out: " + left_out);
}

/// The part of a text that a split gets.
struct Part {
  Split split;
  bool whole = false;  ///< all of it; otherwise the split's part according to data.val and `test`
  double test = 0;     ///< share of the test split
};

std::unique_ptr<Dataset> windows(TextFiles text, const DataConfig& config, const Part& part) {
  const TextSettings& own = settings.in(config);
  TokenSequence tokens(1);
  for (auto& file : text.files) tokens.add(std::move(file));
  TokenRange range{0, tokens.size()};
  if (!part.whole) {
    range = divided(tokens.size(), config.val, part.test, own.context)[static_cast<std::size_t>(part.split)];
    if (part.split == Split::test && range.size() == 0) return nullptr;
  }
  return std::make_unique<TokenWindows>(std::move(tokens), range,
                                        TokenWindowsOptions{.name = "text",
                                                            .context = own.context,
                                                            .vocabulary = bytes_vocabulary,
                                                            .random = part.split == Split::train,
                                                            .from_train = part.split == Split::val && !part.whole,
                                                            .left_out = std::move(text.left_out)});
}

std::unique_ptr<Dataset> make_text(const DataConfig& config, Split split) {
  const fs::path root = root_of(config);
  const double test = settings.in(config).test;
  std::error_code ignored;
  const auto file_of = [&](Split of) { return root / fmt::format("{}.txt", to_string(of)); };
  const auto has = [&](Split of) { return fs::exists(file_of(of), ignored); };
  const auto has_by_any_name = [&](Split of) { return has(of) || !misnamed_split(root, of, ".txt").empty(); };
  if (!has(Split::train)) {
    // Among other texts, training.txt is just one of them.
    if (has_by_any_name(Split::val) || has_by_any_name(Split::test)) refuse_misnamed_split(root, Split::train, ".txt");
    return windows(text_at(root), config, {.split = split, .test = test});
  }
  for (const Split other : {Split::val, Split::test}) {
    if (!has(other)) refuse_misnamed_split(root, other, ".txt");
  }
  if (split != Split::train && has(split)) return windows(text_at(file_of(split)), config, {split, /*whole=*/true});
  if (split == Split::test && has(Split::val)) return nullptr;
  // Train is divided if there is no val.txt.
  return windows(text_at(file_of(Split::train)), config,
                 {.split = split, .whole = has(Split::val), .test = has(Split::test) ? 0 : test});
}

const DatasetRegistry::Registration registered{"text", "bytes of text files: windows for a language model", make_text,
                                               __FILE__};

}  // namespace
}  // namespace trainyard
