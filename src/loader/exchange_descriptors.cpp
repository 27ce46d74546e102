#include "loader/exchange_descriptors.h"

#include <array>

#include <fcntl.h>
#include <sys/time.h>

#include "loader/descriptor_message.h"
#include "util/error.h"

namespace trainyard {
namespace {

constexpr const char* subject = "the descriptors of this host's ranks";

// The kernel chooses an unused name in the abstract namespace: a zero byte and five hexadecimal digits.
std::string bind_to_new_name(int socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  check_call(bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family), "loader", "bind",
             subject);
  socklen_t size = sizeof address;
  check_call(getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size), "loader", "getsockname", subject);
  return {address.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1};
}

UniqueFd connect_to(const std::string& name) {
  const AbstractAddress address(name);
  UniqueFd socket = new_message_socket();
  check_call(retry_on_eintr([&] { return connect(socket.get(), address.get(), address.size()); }), "loader", "connect",
             subject, "the ranks of a host must share one network namespace");
  return socket;
}

void set_timeout(int socket, double seconds) {
  timeval timeout{};
  timeout.tv_sec = static_cast<time_t>(seconds);
  timeout.tv_usec = static_cast<suseconds_t>((seconds - static_cast<double>(timeout.tv_sec)) * 1e6);
  check_call(setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), "loader", "setsockopt", subject);
}

}  // namespace

std::vector<UniqueFd> exchange_descriptors(int descriptor, const HostGroup& group) {
  std::vector<UniqueFd> result(static_cast<std::size_t>(group.count));
  const auto own = static_cast<std::size_t>(group.rank);
  result[own] = UniqueFd(check_call(fcntl(descriptor, F_DUPFD_CLOEXEC, 0), "loader", "fcntl", subject));
  if (group.count == 1) return result;

  const UniqueFd listener = new_message_socket();
  const std::string name = bind_to_new_name(listener.get());
  check_call(listen(listener.get(), group.count), "loader", "listen", subject);
  set_timeout(listener.get(), group.timeout_seconds);

  // Connecting and sending do not wait for the receiver, so that all ranks can do so before they receive.
  const std::vector<std::string> names = group.all_gather(name);
  for (std::size_t rank = 0; rank < names.size(); ++rank) {
    if (rank == own) continue;
    const UniqueFd socket = connect_to(names[rank]);
    send_with_descriptors(socket.get(), std::as_bytes(std::span(&own, 1)), std::array{descriptor});
  }
  for (int missing = group.count - 1; missing > 0;) {
    const UniqueFd socket(
        check_call(retry_on_eintr([&] { return accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC); }), "loader",
                   "accept4", subject, "another rank of this host does not answer"));
    if (!is_of_this_user(socket.get())) continue;
    set_timeout(socket.get(), group.timeout_seconds);
    std::size_t sender = 0;
    DescriptorMessage message = receive_with_descriptors(socket.get(), std::as_writable_bytes(std::span(&sender, 1)));
    if (message.bytes != sizeof sender || message.descriptors.size() != 1 || sender >= result.size() ||
        result[sender]) {
      throw RunError("loader", "a process of this user that is not a rank has sent {} bytes and {} descriptors",
                     message.bytes, message.descriptors.size());
    }
    result[sender] = std::move(message.descriptors[0]);
    --missing;
  }
  return result;
}

}  // namespace trainyard
