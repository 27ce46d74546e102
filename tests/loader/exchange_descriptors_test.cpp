#include "loader/exchange_descriptors.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/descriptor_message.h"
#include "support/error_of.h"
#include "support/thread_ranks.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

// A file whose size is `bytes`.
UniqueFd file_of(off_t bytes) {
  UniqueFd file(check_call(memfd_create("test", MFD_CLOEXEC), "test", "memfd_create", "a file"));
  check_call(ftruncate(file.get(), bytes), "test", "ftruncate", "a file");
  return file;
}

TEST(ExchangeDescriptors, GivesEveryRankTheFileOfEach) {
  for (const int count : {1, 2, 5}) {
    run_thread_ranks(count, [&](const HostGroup& group) {
      for (const off_t round : {100, 200}) {
        const UniqueFd own = file_of(round + group.rank);
        const std::vector<UniqueFd> all = exchange_descriptors(own.get(), group);
        ASSERT_EQ(all.size(), static_cast<std::size_t>(count));
        for (int rank = 0; rank < count; ++rank) {
          const int file = all[static_cast<std::size_t>(rank)].get();
          EXPECT_NE(file, own.get());
          EXPECT_EQ(regular_file_size(file, "test", "a file"), static_cast<std::uint64_t>(round + rank));
        }
      }
    });
  }
}

TEST(ExchangeDescriptors, ARankThatSendsNothingIsAnError) {
  const UniqueFd own = file_of(1);
  const UniqueFd silent = new_message_socket();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ASSERT_EQ(bind(silent.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address.sun_family), 0);
  ASSERT_EQ(listen(silent.get(), 1), 0);
  socklen_t size = sizeof address;
  ASSERT_EQ(getsockname(silent.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string name(address.sun_path + 1, size - offsetof(sockaddr_un, sun_path) - 1);
  const HostGroup group{.rank = 0, .count = 2, .timeout_seconds = 0.05, .all_gather = [&](const std::string& text) {
                          return std::vector{text, name};
                        }};
  EXPECT_THAT(error_of<RunError>([&] { exchange_descriptors(own.get(), group); }),
              HasSubstr("another rank of this host does not answer"));
}

TEST(ExchangeDescriptors, AMessageThatIsNoRanksIsAnError) {
  const UniqueFd own = file_of(1);
  const HostGroup group{.rank = 0, .count = 2, .timeout_seconds = 5, .all_gather = [&](const std::string& text) {
                          // In place of rank 1, sends a message of one byte without a descriptor.
                          const AbstractAddress address(text);
                          const UniqueFd socket = new_message_socket();
                          check_call(connect(socket.get(), address.get(), address.size()), "test", "connect", "rank 0");
                          const std::byte byte{};
                          send_with_descriptors(socket.get(), {&byte, 1}, {});
                          return std::vector{text, text};
                        }};
  EXPECT_THAT(error_of<RunError>([&] { exchange_descriptors(own.get(), group); }),
              HasSubstr("has sent 1 bytes and 0 descriptors"));
}

}  // namespace
}  // namespace trainyard
