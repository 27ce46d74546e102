/// TensorBoard's event files, written by hand: TensorBoard has no C++ library, and what a scalar needs of the format is
/// small. `tensorboard --logdir runs` shows every run beside the others.
///
/// A file is records, one behind the other, numbers little-endian:
///
///     uint64 length | uint32 masked CRC32C of those 8 bytes | data | uint32 masked CRC32C of data
///
/// data is the protobuf message `Event`; of its fields (tensorboard/compat/proto/event.proto) we write
///
///     1 double wall_time    2 int64 step    3 string file_version: "brain.Event:2", in a file's first record
///     5 Summary { repeated 1 Value { 1 string tag, 2 float simple_value } }
///     7 SessionLog { 1 status: 1 = START }, at the start of a part: readers forget what they know of later steps
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

/// Castagnoli's CRC-32, as iSCSI (RFC 3720) has it, without TensorFlow's masking.
std::uint32_t crc32c(std::span<const std::byte> bytes);

/// The scalars of a run in `folder`/events.out.tfevents.<unix seconds>.trainyard, one file for each part of the run.
/// Every record is on its way to the disk when the call returns. Used from one thread. Throws RunError when reading or
/// writing fails.
class EventFile {
 public:
  /// Begins a file. From those of earlier parts cuts off what came after `last_step`, and any record a crash has torn;
  /// 0 removes them.
  EventFile(const std::filesystem::path& folder, std::int64_t last_step);

  using Scalar = std::pair<std::string, double>;  ///< a tag, e.g. "train/loss", and its value
  /// Steps must not go down from call to call.
  void add(std::int64_t step, const std::vector<Scalar>& scalars);

 private:
  void append(std::string_view event);

  std::filesystem::path path_;
  UniqueFd fd_;
};

}  // namespace trainyard
