#include "loader/hello.h"

#include <array>

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "loader/descriptor_message.h"

namespace trainyard {
namespace {

class HelloMessage : public testing::Test {
 protected:
  HelloMessage() {
    std::array<int, 2> ends{};
    check_call(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()), "test", "socketpair", "hello");
    zygote_.reset(ends[0]);
    trainer_.reset(ends[1]);
  }

  UniqueFd zygote_;
  UniqueFd trainer_;
};

// Every member differs from its default.
SplitInfo balanced_masks() {
  SplitInfo split;
  split.size = 5;
  split.fields = {
      {.name = "mask", .shape = {4, 6}, .is_stored_image = true, .values = ValueRange{3, 255}},
      {.name = "image", .shape = {4, 6, 3}, .is_stored_image = true, .encoded_bytes = 700},
      {.name = "numeric", .dtype = DType::float32, .shape = {2}, .varies = true, .columns = {{.name = "x"}}}};
  split.padded = {false, false, true};
  split.class_names = {"\xff not UTF-8", "b"};
  split.fingerprint = 0xfedcba9876543210;
  split.channel_mean = {0.25F};
  split.channel_std = {0.5F};
  split.class_counts = {3, 2};
  split.left_out = {{"dangling link", 2, {"a", "b"}}};
  split.warning = "a column is constant";
  split.from_train = true;
  split.mirror = RandomMirror{1, 17, 0.5};
  split.by_class = SamplesByClass({0, 1}, {0, 3, 5}, {0, 2, 4, 1, 3});
  return split;
}

TEST_F(HelloMessage, HasEverythingThatIsKnownOfASplit) {
  const SplitInfo sent = balanced_masks();
  send_hello(zygote_.get(), {.error = "", .pid = 123, .splits = {SplitInfo(), sent}}, {});
  const std::optional<ReceivedHello> received = receive_hello(trainer_.get());
  ASSERT_TRUE(received);
  EXPECT_EQ(received->hello.code, ExitCode::done);
  EXPECT_EQ(received->hello.pid, 123);
  ASSERT_EQ(received->hello.splits.size(), 2u);
  const auto& [size, fields, padded, class_names, fingerprint, mean, std, class_counts, left_out, warning, from_train,
               mirror, by_class] = received->hello.splits[1];
  EXPECT_EQ(size, sent.size);
  EXPECT_EQ(fields, sent.fields);
  EXPECT_EQ(padded, sent.padded);
  EXPECT_EQ(class_names, sent.class_names);
  EXPECT_EQ(fingerprint, sent.fingerprint);
  EXPECT_EQ(mean, sent.channel_mean);
  EXPECT_EQ(std, sent.channel_std);
  EXPECT_EQ(class_counts, sent.class_counts);
  EXPECT_EQ(left_out, sent.left_out);
  EXPECT_EQ(warning, sent.warning);
  EXPECT_EQ(from_train, sent.from_train);
  EXPECT_EQ(mirror, sent.mirror);
  EXPECT_EQ(by_class.labels(), sent.by_class.labels());
  EXPECT_EQ(by_class.begins(), sent.by_class.begins());
  EXPECT_EQ(by_class.samples(), sent.by_class.samples());
}

TEST_F(HelloMessage, OfManyPacketsArrivesWithTheDescriptors) {
  const UniqueFd file(check_call(memfd_create("test", MFD_CLOEXEC), "test", "memfd_create", "hello"));
  SplitInfo split;
  for (int i = 0; i < 5000; ++i) split.class_names.push_back("class " + std::to_string(i));
  const int arena[] = {file.get(), file.get()};
  send_hello(zygote_.get(), {.error = "", .splits = {split}}, arena);
  const std::optional<ReceivedHello> received = receive_hello(trainer_.get());
  ASSERT_TRUE(received);
  EXPECT_EQ(received->hello.splits.at(0).class_names, split.class_names);
  EXPECT_EQ(received->arena.size(), 2u);
}

TEST_F(HelloMessage, HasTheErrorInPlaceOfTheSplits) {
  send_hello(zygote_.get(), {.code = ExitCode::usage, .error = "[data.root] is missing", .splits = {}}, {});
  const std::optional<ReceivedHello> received = receive_hello(trainer_.get());
  ASSERT_TRUE(received);
  EXPECT_EQ(received->hello.code, ExitCode::usage);
  EXPECT_EQ(received->hello.error, "[data.root] is missing");
  EXPECT_TRUE(received->arena.empty());
}

TEST_F(HelloMessage, ThatDoesNotArriveWholeIsNone) {
  const std::uint64_t size = 100;
  send_with_descriptors(zygote_.get(), std::as_bytes(std::span(&size, 1)), {});
  zygote_.reset();
  EXPECT_FALSE(receive_hello(trainer_.get()));
  EXPECT_FALSE(receive_hello(trainer_.get())) << "the socket is closed";
}

}  // namespace
}  // namespace trainyard
