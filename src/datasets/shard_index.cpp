#include "datasets/shard_index.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <system_error>
#include <vector>

#include <fmt/ranges.h>

#include "datasets/litter.h"
#include "datasets/shard_samples.h"
#include "datasets/split_names.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

struct Shards {
  fs::path folder;
  std::vector<std::string> paths;
  std::vector<LeftOut> left_out;  ///< other files in the folder
};

Shards shards_in(const fs::path& folder) {
  Shards shards{fs::absolute(folder), {}, {}};
  std::error_code error;
  for (auto entry = fs::directory_iterator(shards.folder, error); entry != end(entry); entry.increment(error)) {
    const std::string path = entry->path().string();
    if (is_litter(entry->path().filename().string())) {
      leave_out(shards.left_out, litter_reason, path);
    } else if (entry->path().extension() == ".tar") {
      shards.paths.push_back(path);
    } else {
      leave_out(shards.left_out, "not a tar shard (*.tar)", path);
    }
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    throw RunError("tar_shards", "{}: {}", shards.folder.string(), error.message());
  }
  std::sort(shards.paths.begin(), shards.paths.end());
  return shards;
}

/// A sample of the class with the largest number.
struct Largest {
  explicit Largest(const FileIndex& index) {
    const auto entry = std::max_element(index.entries.begin(), index.entries.end(),
                                        [](const auto& a, const auto& b) { return a.label < b.label; });
    label = entry->label;
    name = fmt::format("{}: the sample of {}", index.sources[entry->file].path,
                       printable(index.names.c_str() + entry->name));
  }

  std::uint32_t label = 0;
  std::string name;
};

std::vector<std::string> read_class_names(const fs::path& file) {
  std::vector<std::string> names = text_lines(read_text_file(file.string(), "tar_shards"));
  const auto empty = std::find(names.begin(), names.end(), "");
  if (empty == names.end()) return names;
  throw UsageError("data.root", "{}: line {} is empty, expected the name of a class", file.string(),
                   empty - names.begin() + 1);
}

// A class number far above the number of existing classes is a mistake, and would make the model's last layer huge.
void refuse_odd_number(const FileIndex& index, const Largest& largest) {
  std::vector<std::uint32_t> labels;
  for (const FileIndex::Entry& entry : index.entries) labels.push_back(entry.label);
  std::sort(labels.begin(), labels.end());
  const auto distinct = static_cast<std::size_t>(std::unique(labels.begin(), labels.end()) - labels.begin());
  if (largest.label < 1'000 + 10 * distinct) return;
  throw RunError("tar_shards",
                 "{} has class {}, but all samples together have {} different classes: correct its .cls, or name all "
                 "classes in classes.txt, one a line",
                 largest.name, largest.label, distinct);
}

void name_classes(FileIndex& index, const fs::path& root, Split split) {
  const Largest largest(index);
  const fs::path file = fs::absolute(root / "classes.txt");
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(file, ignored))) {
    index.class_names = read_class_names(file);
    index.sources.push_back(source_of(file.string()));
    if (largest.label < index.class_names.size()) return;
    throw UsageError("data.root", "{} has class {}, but {} has {}", largest.name, largest.label, file.string(),
                     count_of(index.class_names.size(), "line"));
  }
  index.sources.push_back(source_of(file.parent_path().string()));  // changes if classes.txt is added
  if (split == Split::train) refuse_odd_number(index, largest);
  for (std::uint32_t i = 0; i <= largest.label; ++i) index.class_names.push_back(fmt::format("{}", i));
}

FileIndex find_samples(const fs::path& root, Shards shards, Split split) {
  FileIndex index;
  index.left_out = std::move(shards.left_out);
  for (const std::string& path : shards.paths) {
    index.sources.push_back(source_of(path));
    add_shard_samples(index, open_regular_file(path, "tar_shards").get());
  }
  if (index.entries.empty()) {
    const std::string left_out = list_left_out(index.left_out);
    throw UsageError("data.root", "{} holds no samples of WebDataset's layout: key.jpg with key.cls{}{}",
                     shards.folder.string(), left_out.empty() ? "" : "; left out: ", left_out);
  }
  index.sources.push_back(source_of(shards.folder.string()));
  name_classes(index, root, split);
  return index;
}

}  // namespace

std::optional<FileIndex> index_shards(const fs::path& root, Split split) {
  const Shards shards = shards_in(root / to_string(split));
  if (shards.paths.empty()) {
    std::error_code ignored;
    if (!fs::exists(shards.folder, ignored)) {
      refuse_misnamed_split(root, split, "");
      if (split != Split::train) return std::nullopt;
    }
    throw UsageError("data.root", "{} has no tar files in {}/; set data.root to the folder of train/*.tar",
                     root.string(), to_string(split));
  }
  return cached_index(fmt::format("tar_shards {} {}", fs::absolute(root).string(), fmt::join(shards.paths, " ")),
                      [&] { return find_samples(root, shards, split); });
}

}  // namespace trainyard
