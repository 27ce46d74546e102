/// Messages that carry open files to another process.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "util/system.h"

namespace trainyard {

constexpr std::size_t most_descriptors = 64;  ///< that a message carries; more than an arena's

struct DescriptorMessage {
  std::size_t bytes = 0;  ///< received; 0: the other end is closed
  std::vector<UniqueFd> descriptors;
};

/// Sends `data`, at least a byte, in one message on a SOCK_SEQPACKET; the receiver gets files of its own. Throws
/// RunError.
void send_with_descriptors(int socket, std::span<const std::byte> data, std::span<const int> descriptors);

/// Waits for such a message, as long as the socket's SO_RCVTIMEO allows. Throws RunError.
DescriptorMessage receive_with_descriptors(int socket, std::span<std::byte> data);

}  // namespace trainyard
