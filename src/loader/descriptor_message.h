/// Sends and receives messages that carry file descriptors to another process of this host and user.
#pragma once

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

#include "util/system.h"

namespace trainyard {

constexpr std::size_t max_descriptors = 64;  ///< per message; more than an arena has

struct DescriptorMessage {
  std::size_t bytes = 0;  ///< received; 0: the other end is closed
  std::vector<UniqueFd> descriptors;
};

/// Returns a new SOCK_SEQPACKET socket with these additional flags. Throws RunError.
UniqueFd new_message_socket(int flags = 0);

/// A Unix socket's address in the abstract namespace: it has no file and disappears with the process that listens.
class AbstractAddress {
 public:
  /// Throws RunError if the name is too long.
  explicit AbstractAddress(std::string_view name);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return size_; }

 private:
  sockaddr_un address_{};
  socklen_t size_;
};

/// Whether the process at the other end of a connected socket belongs to this user.
bool is_of_this_user(int socket);

/// Sends `data`, at least one byte, as one message on a SOCK_SEQPACKET socket; the receiver gets duplicates of the
/// descriptors. Throws RunError.
void send_with_descriptors(int socket, std::span<const std::byte> data, std::span<const int> descriptors);

/// Waits for such a message for as long as the socket's SO_RCVTIMEO allows. Throws RunError.
DescriptorMessage receive_with_descriptors(int socket, std::span<std::byte> data);

}  // namespace trainyard
