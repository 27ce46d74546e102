/// Writes TensorBoard's event files. TensorBoard has no C++ library, and scalars need only a small part of the format.
/// `tensorboard --logdir runs` shows all runs side by side.
///
/// A file is a sequence of records, with numbers in little-endian order:
///
///     uint64 length | uint32 masked CRC32C of those 8 bytes | data | uint32 masked CRC32C of data
///
/// data is the protobuf message `Event`, with these of its fields (tensorboard/compat/proto/event.proto):
///
///     1 double wall_time    2 int64 step    3 string file_version: "brain.Event:2", in a file's first record
///     5 Summary { repeated 1 Value { 1 string tag, 2 float simple_value } }
///     7 SessionLog { 1 status: 1 = START }, at the start of a part: readers discard later steps of earlier parts
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "util/system.h"

namespace trainyard {

/// CRC-32C (Castagnoli), as in iSCSI (RFC 3720), without TensorFlow's masking.
std::uint32_t crc32c(std::span<const std::byte> bytes);

/// The scalars of a run in `folder`/events.out.tfevents.<unix seconds>.trainyard, one file for each part of the run.
/// Every record has been passed to the kernel when the call returns. Not thread-safe. Throws RunError if reading or
/// writing fails.
class EventFile {
 public:
  /// Begins a file. Truncates the files of earlier parts after `last_step`, and removes any record torn by a crash;
  /// `last_step` = 0 removes the files.
  EventFile(const std::filesystem::path& folder, std::int64_t last_step);

  using Scalar = std::pair<std::string, double>;  ///< a tag, e.g. "train/loss", and its value
  /// Steps must not decrease from call to call.
  void add(std::int64_t step, const std::vector<Scalar>& scalars);

 private:
  void append(std::string_view event);

  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace trainyard
