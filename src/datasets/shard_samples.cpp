#include "datasets/shard_samples.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/ranges.h>

#include "datasets/litter.h"
#include "datasets/tar.h"
#include "util/error.h"
#include "util/printable.h"
#include "util/system.h"
#include "util/text_lines.h"

namespace trainyard {
namespace {

constexpr std::uint64_t max_image = std::uint64_t{1} << 30;
constexpr std::array<std::string_view, 3> image_extensions{"jpg", "jpeg", "png"};

/// A member's name, split as WebDataset splits it.
struct NameParts {
  std::string key;
  std::string extension;  ///< lower case; empty if there is none

  explicit NameParts(const std::string& name) {
    const std::size_t base = name.rfind('/') + 1;  // 0 without a slash
    const std::size_t dot = std::min(name.find('.', base), name.size());
    key = name.substr(0, dot);
    extension = name.substr(std::min(dot + 1, name.size()));
    std::transform(extension.begin(), extension.end(), extension.begin(),
                   [](unsigned char c) { return std::tolower(c); });
  }
};

bool is_image(std::string_view extension) {
  return std::find(image_extensions.begin(), image_extensions.end(), extension) != image_extensions.end();
}

// WebDataset's own files: the first component of the name is in double underscores.
bool describes_shard(std::string_view name) {
  const std::string_view part = name.substr(0, name.find('/'));
  return part.size() >= 4 && part.starts_with("__") && part.ends_with("__");
}

class Grouper {
 public:
  Grouper(FileIndex& index, int file)
      : index_(index), file_(file), shard_(static_cast<std::uint32_t>(index.sources.size() - 1)) {}

  void add_all() {
    const TarContents contents = read_tar(file_, path());
    for (const TarOther& other : contents.others) leave_out(other.kind, other.name);
    for (const TarMember& member : contents.members) add(member);
    finish();
  }

 private:
  const std::string& path() const { return index_.sources[shard_].path; }

  void leave_out(std::string_view reason, std::string_view name) {
    trainyard::leave_out(index_.left_out, reason, fmt::format("{}: {}", path(), name));
  }

  [[noreturn]] void fail(std::string_view what) const {
    throw RunError("tar_shards", "{}: sample {} {}", path(), printable(key_), what);
  }

  void add(const TarMember& member) {
    if (path_has_litter(member.name)) return leave_out(litter_reason, member.name);
    const NameParts name(member.name);
    if (name.extension.empty() || describes_shard(member.name)) return leave_out(unneeded_reason, member.name);
    if (name.key != key_) {
      finish();
      key_ = name.key;
    }
    if (is_image(name.extension)) {
      set_image(member);
    } else if (name.extension == "cls") {
      if (label_) fail("has two classes (.cls)");
      label_ = parse_label(member);
    } else {
      others_.insert(name.extension);
    }
  }

  void set_image(const TarMember& member) {
    if (image_) fail(fmt::format("has two images, {} and {}", printable(image_->name), printable(member.name)));
    if (member.size > max_image) fail(fmt::format("has an image of {} bytes, more than 1 GiB", member.size));
    image_ = member;
  }

  std::uint32_t parse_label(const TarMember& member) const {
    std::string text(std::min<std::uint64_t>(member.size, 64), '\0');
    text.resize(read_at(file_, std::as_writable_bytes(std::span(text)), member.offset, "tar_shards", path()));
    const std::vector<std::string> lines = text_lines(text);
    std::string_view digits = lines.size() == 1 ? std::string_view(lines[0]) : std::string_view();
    digits.remove_prefix(std::min(digits.find_first_not_of(" \t"), digits.size()));
    std::uint32_t label = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), label);
    if (error != std::errc() || end != digits.data() + digits.size() || label > max_shard_label) {
      throw RunError("tar_shards", "{}: {} holds '{}', expected a class from 0 to {}", path(), printable(member.name),
                     printable(text), max_shard_label);
    }
    return label;
  }

  void finish() {
    refuse_parts_seen_before();
    if (image_ && label_) {
      index_.add(image_->name, {.offset = image_->offset, .size = image_->size, .file = shard_, .label = *label_});
    } else if (image_) {
      leave_out("sample without a class (.cls)", image_->name);
    } else if (label_) {
      others_.insert("cls");
      leave_out("sample without an image (.jpg, .jpeg, .png)",
                fmt::format("{} with {}", key_, fmt::join(std::exchange(others_, {}), ", ")));
    }
    leave_out_others();
    image_.reset();
    label_.reset();
  }

  void refuse_parts_seen_before() {
    if (!image_ && !label_) return;
    const Found found{image_.has_value(), label_.has_value()};
    const auto [before, is_new] = seen_.try_emplace(key_, found);
    if (is_new) return;
    if (before->second.image && before->second.label && found.image && found.label) {
      fail("is there twice (was a newer one appended?): write the shard again");
    }
    if (before->second.image != found.image && before->second.label != found.label) {
      fail(
          "has its image and its class apart, with other samples between them, and WebDataset would lose it: write "
          "the shard again, sorted by name (tar --sort=name)");
    }
  }

  // Members 0001.5.jpg and 0001.5.cls were meant to be the sample 0001.5.
  void leave_out_others() {
    for (const std::string& extension : others_) {
      const std::string stem = extension.substr(0, extension.rfind('.') + 1);  // with its dot; empty if there is none
      const bool has_image =
          std::any_of(image_extensions.begin(), image_extensions.end(),
                      [&](std::string_view ending) { return others_.contains(fmt::format("{}{}", stem, ending)); });
      const std::string name = fmt::format("{}.{}", key_, extension);
      if (stem.empty() || !has_image || !others_.contains(stem + "cls")) {
        leave_out(unneeded_reason, name);
      } else if (!extension.ends_with(".cls")) {
        leave_out("sample with a dot in its key (a key ends at the first dot: rename it)", name);
      }
    }
    others_.clear();
  }

  struct Found {
    bool image;
    bool label;
  };

  FileIndex& index_;
  int file_;
  std::uint32_t shard_;
  std::unordered_map<std::string, Found> seen_;  ///< by key: the parts of earlier samples
  std::string key_;
  std::optional<TarMember> image_;
  std::optional<std::uint32_t> label_;
  std::multiset<std::string> others_;  ///< extensions of the sample's other members
};

}  // namespace

void add_shard_samples(FileIndex& index, int file) { Grouper(index, file).add_all(); }

}  // namespace trainyard
