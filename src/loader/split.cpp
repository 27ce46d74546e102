#include "loader/split.h"

#include <algorithm>
#include <array>
#include <exception>

#include "util/error.h"

namespace trainyard {
namespace {

void require_sound(const std::vector<Field>& fields, const char* split) {
  if (fields.empty() || fields.size() > max_fields) {
    throw UsageError("data", "samples of {} have {} fields; a dataset has 1 to {}", split, fields.size(), max_fields);
  }
  for (const Field& field : fields) {
    if (find_field(fields, field.name) != &field) {
      throw UsageError("data", "samples of {} have two fields of the name {}", split, field.name);
    }
    if (const std::string_view flaw = columns_error(field); !flaw.empty()) {
      throw UsageError("data", "the field {} of {} {}", field.name, split, flaw);
    }
    if (field.is_stored_image && !field.is_spatial()) {
      throw UsageError("data", "the field {} of {} is stored as an image, but {} is neither an image nor a mask",
                       field.name, split, trainyard::describe({&field, 1}));
    }
  }
}

// Determined from what the collate hook returns for one sample without rows and one with a single row.
std::vector<bool> padded_fields(const Dataset& dataset) {
  std::vector<bool> padded;
  for (std::size_t i = 0; i < dataset.fields().size(); ++i) {
    constexpr std::array<std::int64_t, 2> rows{0, 1};
    std::array<std::int64_t, 3> begins{};
    try {
      if (dataset.fields()[i].varies) dataset.collate(i, rows, begins);
    } catch (const std::exception&) {  // reported by the first batch
    }
    padded.push_back(begins == std::array<std::int64_t, 3>{0, 1, 2});
  }
  return padded;
}

}  // namespace

void require_equal_fields(const std::vector<LoadedSplit>& splits) {
  for (std::size_t i = 0; i < splits.size(); ++i) {
    const char* const name = to_string(static_cast<Split>(i));
    const std::vector<Field>& first = splits.front().fields();
    const std::vector<Field>& fields = splits[i].fields();
    require_sound(fields, name);
    const auto alike = [](const Field& a, const Field& b) {
      return a.name == b.name && a.dtype == b.dtype && a.varies == b.varies && a.shape.size() == b.shape.size();
    };
    if (std::equal(fields.begin(), fields.end(), first.begin(), first.end(), alike)) continue;
    throw UsageError("data", "samples of {} are {}, those of train {}: all splits must have the same fields", name,
                     trainyard::describe(fields), trainyard::describe(first));
  }
}

std::vector<SplitInfo> describe(const std::vector<LoadedSplit>& splits) {
  std::vector<SplitInfo> result;
  for (const LoadedSplit& split : splits) {
    const Dataset& dataset = *split.dataset;
    const std::span<const LeftOut> left_out = split.from_train ? std::span<const LeftOut>() : dataset.left_out();
    result.push_back({.size = dataset.size(),
                      .fields = split.fields(),
                      .padded = padded_fields(dataset),
                      .class_names = dataset.class_names(),
                      .fingerprint = dataset.fingerprint(),
                      .channel_mean = dataset.channel_mean(),
                      .channel_std = dataset.channel_std(),
                      .class_counts = dataset.class_counts(),
                      .left_out = {left_out.begin(), left_out.end()},
                      .warning = dataset.warning(),
                      .from_train = split.from_train,
                      .mirror = split.transforms.mirror(),
                      .by_class = split.by_class});
  }
  return result;
}

}  // namespace trainyard
