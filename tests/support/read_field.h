/// Reads samples of one field and an optional label, for tests that need nothing else.
#pragma once

#include <cstring>
#include <vector>

#include "transforms/pipeline.h"

namespace trainyard {

/// Reads sample `index`, transformed. Writes its first field to `out`, which must have the field's size, and returns
/// its label, or 0 if it has none.
inline std::int64_t read_field(const TransformPipeline& pipeline, const Dataset& dataset, std::size_t index,
                               std::uint64_t seed, std::uint64_t epoch, std::span<std::byte> out,
                               bool unmirrored = false) {
  const std::vector<Field>& fields = pipeline.fields(dataset);
  std::int64_t label = 0;
  std::vector<std::vector<std::byte>> others;
  std::vector<std::span<std::byte>> places;
  for (const Field& field : fields) others.emplace_back(field.bytes());
  for (std::size_t i = 0; i < fields.size(); ++i) places.emplace_back(others[i]);
  places[0] = out;
  if (fields.size() > 1 && fields[1].name == "label") places[1] = std::as_writable_bytes(std::span(&label, 1));
  pipeline.read(dataset, index, seed, epoch, places, unmirrored);
  return label;
}

/// The same without transforms.
inline std::int64_t read_field(const Dataset& dataset, std::size_t index, std::span<std::byte> out) {
  return read_field(TransformPipeline(), dataset, index, 0, 0, out);
}

using Shape = std::vector<std::int64_t>;

}  // namespace trainyard
