// Token files of nanoGPT and llm.c: <data.root>/train.bin, val.bin, test.bin, or any number of files *_train_*.bin,
// *_val_*.bin, *_test_*.bin, concatenated in the order of their names. Without val files the end of train is val
// (data.val).
//
// nanoGPT: uint16 tokens without a header. llm.c: a header of 256 int32 (magic, version, number of tokens), then uint16
// tokens of GPT-2 (magic 20240520, version 1) or uint32 tokens of Llama 3 (magic 20240801, version 7).
//
// Samples are windows (datasets/token_windows.h).
#include <algorithm>
#include <array>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include <fmt/ranges.h>

#include "config/component.h"
#include "datasets/locate.h"
#include "datasets/split_names.h"
#include "datasets/token_windows.h"
#include "util/error.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr const char* where = "tokens";

/// data.tokens.type
enum class TokenType : std::uint8_t { uint16, uint32 };
constexpr std::array<const char*, 2> words_of(TokenType) { return {"uint16", "uint32"}; }

struct TokenSettings {
  std::int64_t context = 256;
  std::int64_t vocabulary = 0;
  TokenType type = TokenType::uint16;

  void declare(SettingTable& table) {
    table.add("context", context, "tokens that the model sees at once; a sample has one more", whole(1, 1 << 20),
              Resume::fixed);
    table.add("vocabulary", vocabulary, "tokens are 0 to vocabulary - 1; 0: as in llm.c's header",
              whole(0, std::int64_t{1} << 31), Resume::fixed);
    table.add("type", type, "type of the tokens in files without llm.c's header", Resume::fixed);
  }
};
const ComponentSettings<TokenSettings> settings{"data.tokens", {"tokens"}, __FILE__};

/// llm.c's file format for one tokenizer.
struct Format {
  std::int32_t magic;
  std::int32_t version;
  std::size_t token_bytes;
  std::int64_t vocabulary;
};
constexpr std::array formats = {Format{20240520, 1, 2, 50'257}, Format{20240801, 7, 4, 128'256}};
constexpr std::size_t header_bytes = 256 * sizeof(std::int32_t);

/// A mapped file of tokens.
struct TokenFile {
  fs::path path;
  std::shared_ptr<const Mapping> mapping;
  const Format* format = nullptr;  ///< null: no header

  std::size_t begin() const { return format != nullptr ? header_bytes : 0; }
};

TokenFile open_tokens(const fs::path& path) {
  TokenFile file{path, std::make_shared<const Mapping>(Mapping::read_only_file(path.string(), where))};
  const std::span<const std::byte> bytes = file.mapping->bytes();
  std::array<std::int32_t, 3> header{};
  if (bytes.size() < sizeof header) return file;
  std::memcpy(header.data(), bytes.data(), sizeof header);
  const auto [magic, version, tokens] = header;
  const auto* const found =
      std::find_if(formats.begin(), formats.end(), [&](const Format& f) { return f.magic == magic; });
  if (found == formats.end()) return file;
  file.format = found;
  if (version != found->version) {
    throw RunError(where, "{}: version {} of llm.c's format, expected {}: write it with a current llm.c", path.string(),
                   version, found->version);
  }
  const auto token_bytes = static_cast<std::int64_t>(found->token_bytes);
  const std::int64_t expected = static_cast<std::int64_t>(header_bytes) + tokens * token_bytes;
  if (std::ssize(bytes) != expected) {
    throw RunError(where, "{}: its header says {} tokens, {} bytes in all, and it has {}: it {}; write it again",
                   path.string(), tokens, expected, bytes.size(),
                   std::ssize(bytes) < expected ? "has been cut off" : "is longer than its header says");
  }
  return file;
}

fs::path root_of(const DataConfig& config) { return root_folder(config.root, "data/tokens"); }

std::vector<fs::path> paths_of(const fs::path& root, Split split) {
  const std::string name = to_string(split);
  std::error_code error;
  if (fs::exists(root / (name + ".bin"), error)) return {root / (name + ".bin")};
  std::vector<fs::path> paths;
  for (auto entry = fs::directory_iterator(root, error); entry != fs::directory_iterator() && !error;
       entry.increment(error)) {
    const std::string file = entry->path().filename().string();
    if (file.ends_with(".bin") && file.find("_" + name + "_") != std::string::npos) paths.push_back(entry->path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

// Throws UsageError if the split has another usual name.
bool has_split(const fs::path& root, Split split) {
  if (!paths_of(root, split).empty()) return true;
  refuse_misnamed_split(root, split, ".bin");
  return false;
}

// Returns the place of the first token that is not below `limit`, or the number of tokens.
template <typename T>
std::size_t first_not_below(std::span<const std::byte> bytes, T limit) {
  const std::size_t tokens = bytes.size() / sizeof(T);
  constexpr std::size_t block = 4096;
  std::array<T, block> values;
  for (std::size_t begin = 0; begin < tokens; begin += block) {
    const std::span<T> part = std::span(values).first(std::min(block, tokens - begin));
    std::memcpy(part.data(), bytes.data() + begin * sizeof(T), part.size_bytes());
    T largest = 0;  // found without a branch, which the compiler vectorizes
    for (const T value : part) largest = std::max(largest, value);
    if (largest < limit) continue;
    const auto found = std::find_if(part.begin(), part.end(), [limit](T value) { return value >= limit; });
    return begin + static_cast<std::size_t>(found - part.begin());
  }
  return tokens;
}

// `range` counts from the file's first token.
template <typename T>
void require_allowed(const TokenFile& file, TokenRange range, std::int64_t vocabulary) {
  if (std::cmp_greater(vocabulary, std::numeric_limits<T>::max())) return;
  const std::span<const std::byte> bytes = file.mapping->bytes().subspan(file.begin());
  const std::size_t place =
      range.begin +
      first_not_below(bytes.subspan(range.begin * sizeof(T), range.size() * sizeof(T)), static_cast<T>(vocabulary));
  if (place == range.end) return;
  T token{};
  std::memcpy(&token, bytes.data() + place * sizeof(T), sizeof token);
  throw RunError(where,
                 "{}: token {}, counted from 0, is {}; allowed: 0 to {}: write the file again, or correct "
                 "data.tokens.vocabulary or data.tokens.type",
                 file.path.string(), place, token, vocabulary - 1);
}

void require_whole_tokens(const TokenFile& file, std::size_t token_bytes) {
  const std::size_t bytes = file.mapping->bytes().size();
  if (bytes == file.begin()) throw RunError(where, "{} is empty: it has no token; write it again", file.path.string());
  if (bytes % token_bytes == 0) return;
  throw RunError(where, "{} has {} bytes, no multiple of {}: it has been cut off, or data.tokens.type is another",
                 file.path.string(), bytes, token_bytes);
}

// The files of a split, which follow one another.
struct TokenFiles {
  std::vector<TokenFile> files{};
  std::size_t token_bytes = 0;
  std::int64_t vocabulary = 0;

  std::uint64_t tokens_of(const TokenFile& file) const {
    return (file.mapping->bytes().size() - file.begin()) / token_bytes;
  }
  std::uint64_t tokens() const {
    std::uint64_t tokens = 0;
    for (const TokenFile& file : files) tokens += tokens_of(file);
    return tokens;
  }
  TokenSequence sequence() const {
    TokenSequence tokens(token_bytes);
    for (const TokenFile& file : files) tokens.add(file.mapping, file.begin());
    return tokens;
  }
};

TokenFiles open_all(const std::vector<fs::path>& paths, const TokenSettings& own) {
  TokenFiles opened;
  std::vector<TokenFile>& files = opened.files;
  for (const fs::path& path : paths) files.push_back(open_tokens(path));
  const Format* const format = files.front().format;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (files[i].format == format) continue;
    throw RunError(where, "{} and {} have tokens of different formats: they are not of one set", paths.front().string(),
                   paths[i].string());
  }
  std::int64_t& vocabulary = opened.vocabulary;
  vocabulary = own.vocabulary;
  if (vocabulary == 0 && format != nullptr) vocabulary = format->vocabulary;
  if (vocabulary == 0) {
    throw UsageError("data.tokens.vocabulary",
                     "is needed, as {} does not say how many different tokens there are; nanoGPT's GPT-2 files have "
                     "50257",
                     paths.front().string());
  }
  opened.token_bytes = format != nullptr ? format->token_bytes : own.type == TokenType::uint32 ? 4 : 2;
  for (const TokenFile& file : files) require_whole_tokens(file, opened.token_bytes);
  return opened;
}

// Reads every token of the split's range once, and the one before it, which is an input: training draws windows at
// random and would meet a wrong one only epochs later.
void require_allowed(const TokenFiles& opened, const TokenRange& range) {
  std::uint64_t begin = range.begin - std::min<std::uint64_t>(range.begin, 1);
  std::uint64_t end = range.end;
  for (const TokenFile& file : opened.files) {
    const std::uint64_t tokens = opened.tokens_of(file);
    const TokenRange in_file{std::min(begin, tokens), std::min(end, tokens)};
    opened.token_bytes == 2 ? require_allowed<std::uint16_t>(file, in_file, opened.vocabulary)
                            : require_allowed<std::uint32_t>(file, in_file, opened.vocabulary);
    begin -= in_file.begin;
    end -= in_file.end;
  }
}

std::unique_ptr<Dataset> make_tokens(const DataConfig& config, Split split) {
  const fs::path root = root_of(config);
  const TokenSettings& own = settings.in(config);
  if (split == Split::test && !has_split(root, split)) return nullptr;
  const bool cut = split != Split::test && !has_split(root, Split::val);
  const std::vector<fs::path> paths = paths_of(root, cut ? Split::train : split);
  if (paths.empty()) {
    refuse_misnamed_split(root, Split::train, ".bin");
    throw UsageError(
        "data.root",
        "{} has no train.bin and no *_train_*.bin; set data.root to the folder of token files as nanoGPT or "
        "llm.c write them",
        root.string());
  }
  const TokenFiles opened = open_all(paths, own);
  TokenRange range{0, opened.tokens()};
  if (cut) range = divided(opened.tokens(), config.val, 0, own.context)[static_cast<std::size_t>(split)];
  require_allowed(opened, range);
  return std::make_unique<TokenWindows>(opened.sequence(), range,
                                        TokenWindowsOptions{.name = "tokens",
                                                            .context = own.context,
                                                            .vocabulary = opened.vocabulary,
                                                            .random = split == Split::train,
                                                            .from_train = cut && split == Split::val});
}

const DatasetRegistry::Registration registered{
    "tokens", "token files of nanoGPT and llm.c: windows for a language model", make_tokens, __FILE__};

}  // namespace
}  // namespace trainyard
