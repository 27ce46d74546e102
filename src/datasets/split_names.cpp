#include "datasets/split_names.h"

#include <algorithm>
#include <system_error>
#include <vector>

#include "util/error.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

// Returns the names of a split in lower case, its own first.
std::vector<std::string_view> usual_names(Split split) {
  switch (split) {
    case Split::train:
      return {"train", "training"};
    case Split::val:
      return {"val", "valid", "validation", "dev"};
    case Split::test:
      return {"test", "testing"};
  }
  return {};
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

bool is_one_of(std::string_view name, const std::vector<std::string_view>& stems, std::string_view ending) {
  return name.ends_with(ending) && std::ranges::count(stems, name.substr(0, name.size() - ending.size())) > 0;
}

}  // namespace

std::string misnamed_split(const fs::path& root, Split split, std::string_view ending) {
  std::vector<std::string> found;
  std::error_code error;  // whoever reads the folder reports it
  for (auto entry = fs::directory_iterator(root, error); !error && entry != end(entry); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code ignored;
    if (name == fmt::format("{}{}", to_string(split), ending)) continue;
    if (!is_one_of(lower_case(name), usual_names(split), ending)) continue;
    if (entry->is_directory(ignored) == ending.empty()) found.push_back(name);
  }
  return found.empty() ? "" : *std::ranges::min_element(found);
}

void refuse_misnamed_split(const fs::path& root, Split split, std::string_view ending) {
  const std::string name = misnamed_split(root, split, ending);
  if (name.empty()) return;
  throw UsageError("data.root", "{} has {}, and splits are called train{}, val{} and test{}: rename it to {}{}",
                   root.string(), printable(name), ending, ending, ending, to_string(split), ending);
}

}  // namespace trainyard
