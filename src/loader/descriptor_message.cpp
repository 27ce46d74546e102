#include "loader/descriptor_message.h"

#include <array>
#include <cstring>

#include <unistd.h>

#include "util/error.h"

namespace trainyard {
namespace {

using Control = std::array<char, CMSG_SPACE(max_descriptors * sizeof(int))>;

}  // namespace

UniqueFd new_message_socket(int flags) {
  return UniqueFd(check_call(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0), "loader", "socket",
                             "the ranks of this host"));
}

AbstractAddress::AbstractAddress(std::string_view name)
    : size_(static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size())) {
  if (size_ > sizeof address_) throw RunError("loader", "a socket's name has {} bytes: it is too long", name.size());
  address_.sun_family = AF_UNIX;
  name.copy(address_.sun_path + 1, name.size());  // the zero before it makes it abstract
}

bool is_of_this_user(int socket) {
  ucred other{};
  socklen_t size = sizeof other;
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.uid == geteuid();
}

void send_with_descriptors(int socket, std::span<const std::byte> data, std::span<const int> descriptors) {
  iovec part{const_cast<std::byte*>(data.data()), data.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  check_call(retry_on_eintr([&] { return sendmsg(socket, &message, MSG_NOSIGNAL); }), "loader", "sendmsg",
             "shared memory");
}

DescriptorMessage receive_with_descriptors(int socket, std::span<std::byte> data) {
  iovec part{data.data(), data.size()};
  alignas(cmsghdr) Control control{};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t received = check_call(retry_on_eintr([&] { return recvmsg(socket, &message, MSG_CMSG_CLOEXEC); }),
                                      "loader", "recvmsg", "shared memory");
  DescriptorMessage result{.bytes = static_cast<std::size_t>(received), .descriptors = {}};
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message);
      header != nullptr && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
    std::vector<int> descriptors((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(descriptors.data(), CMSG_DATA(header), descriptors.size() * sizeof(int));
    for (const int descriptor : descriptors) result.descriptors.emplace_back(descriptor);
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    throw_system_error("loader", "recvmsg", "shared memory", EMFILE);
  }
  return result;
}

}  // namespace trainyard
