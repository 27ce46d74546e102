#include "loader/tickets.h"

#include <atomic>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/checkable_pool.h"

namespace trainyard {
namespace {

constexpr ArenaShape shape{
    .workers = 2, .batch_size = 16, .slots = 3, .fields = 1, .field_bytes = {37}};  // 4 chunks of 4 samples

class TicketsTest : public testing::Test {
 protected:
  std::vector<Claim> claim_all(std::uint32_t worker) {
    std::vector<Claim> claims;
    while (const auto claim = tickets_.claim(worker)) claims.push_back(*claim);
    return claims;
  }

  Arena arena_ = Arena::create_private(shape);
  Tickets tickets_{arena_};
};

TEST_F(TicketsTest, ChunkWordsKeepTheirParts) {
  const ChunkWord word =
      ChunkWord::unpack(ChunkWord{(1ull << 48) - 1, ChunkWord::max_workers, ChunkState::failed}.pack());
  EXPECT_EQ(word.batch, (1ull << 48) - 1);
  EXPECT_EQ(word.worker, ChunkWord::max_workers);
  EXPECT_EQ(word.state, ChunkState::failed);
}

TEST_F(TicketsTest, HandsOutEachChunkOnceEarliestBatchFirst) {
  tickets_.publish(2, {.count = 16});
  tickets_.publish(0, {.count = 9});
  const auto claims = claim_all(1);
  ASSERT_EQ(claims.size(), 4u + 3u);
  for (std::uint32_t i = 0; i < 7; ++i) {
    EXPECT_EQ(claims[i].slot, i < 4 ? 2u : 0u);
    EXPECT_EQ(claims[i].chunk, i % 4);
  }
}

TEST_F(TicketsTest, OnlyTheLastChunkSettlesABatch) {
  const auto batch = tickets_.publish(1, {.count = 16});
  const auto claims = claim_all(0);
  for (const Claim& claim : claims) {
    EXPECT_FALSE(tickets_.is_settled(batch, 1));
    EXPECT_EQ(tickets_.settle(claim, 0, ChunkState::done), claim.chunk == 3);
  }
  EXPECT_TRUE(tickets_.is_settled(batch, 1));
}

TEST_F(TicketsTest, TheFirstFailedChunkIsFound) {
  tickets_.publish(0, {.count = 16});
  const auto claims = claim_all(0);
  EXPECT_EQ(tickets_.failed_chunk(0), std::nullopt);
  tickets_.settle(claims[3], 0, ChunkState::failed);
  tickets_.settle(claims[1], 0, ChunkState::failed);
  EXPECT_EQ(tickets_.failed_chunk(0), 1u);
}

TEST_F(TicketsTest, ACancelledBatchWaitsOnlyForWhatWasBegun) {
  const auto batch = tickets_.publish(0, {.count = 16});
  const auto begun = tickets_.claim(0);
  tickets_.cancel(batch, 0);
  EXPECT_FALSE(tickets_.claim(1));
  EXPECT_FALSE(tickets_.is_settled(batch, 0));
  EXPECT_TRUE(tickets_.settle(*begun, 0, ChunkState::done));
}

TEST_F(TicketsTest, AnEmptyBatchIsSettledAtOnce) {
  const auto batch = tickets_.publish(0, {.count = 0});
  EXPECT_FALSE(tickets_.claim(0));
  EXPECT_TRUE(tickets_.is_settled(batch, 0));
}

TEST_F(TicketsTest, WrongHintsOnlyCostTime) {
  tickets_.publish(0, {.count = 16});
  arena_.slot(0).hint = 4;  // as left by a worker that was delayed while the slot got another batch
  EXPECT_EQ(claim_all(0).size(), 4u);
  tickets_.publish(1, {.count = 16});
  arena_.slot(1).hint = 0xffffffffu;
  EXPECT_EQ(claim_all(0).size(), 4u);
}

TEST_F(TicketsTest, DoesNotMissWorkPublishedBeforeSleeping) {
  const std::uint32_t seen = tickets_.work_seen();
  EXPECT_FALSE(tickets_.claim(0));
  tickets_.publish(0, {.count = 16});
  tickets_.wait_for_work(seen, 1'000'000);  // returns immediately
  EXPECT_TRUE(tickets_.claim(0));
}

// Workers are threads here, so the thread sanitizer sees both sides: every slot is written and read without a lock.
TEST(Tickets, ThreeWorkersAndATrainerNeverTouchAChunkAtTheSameTime) {
  const Arena arena =
      Arena::create_private({.workers = 3, .batch_size = 13, .slots = 3, .fields = 4, .field_bytes = {37, 8, 36, 12}});
  const PoolOptions options;
  std::atomic<bool> stop = false;
  std::vector<std::thread> workers;
  for (std::uint32_t number = 0; number < 3; ++number) {
    workers.emplace_back([&, number] {
      const std::vector<LoadedSplit> splits = checkable(1000)();  // a pipeline serves one thread
      Worker worker(arena, splits, options, number);
      while (!stop) {
        const std::uint32_t seen = Tickets(arena).work_seen();
        while (worker.fill_one_chunk()) continue;
        if (!stop) Tickets(arena).wait_for_work(seen, 1);
      }
    });
  }

  Tickets tickets(arena);
  struct InFlight {
    std::uint64_t batch, first;
  };
  std::vector<InFlight> slots;
  const auto publish = [&](std::uint32_t slot, std::uint64_t round) {
    const std::uint64_t first = round * 13 % 987;
    return InFlight{tickets.publish(slot, {.first = first, .count = 13}), first};
  };
  for (std::uint32_t slot = 0; slot < 3; ++slot) slots.push_back(publish(slot, slot));
  for (std::uint64_t round = 3; round < 3000; ++round) {
    const auto slot = static_cast<std::uint32_t>(round % 3);
    const bool cancelled = round % 7 == 0;
    if (cancelled) tickets.cancel(slots[slot].batch, slot);
    while (!tickets.is_settled(slots[slot].batch, slot)) std::this_thread::yield();
    tickets.set_oldest(slots[slot].batch + 1);
    for (std::size_t i = 0; !cancelled && i < 13; ++i) {
      const std::span<const std::byte> labels = arena.field(slot, 1);
      ASSERT_EQ(std::to_integer<std::int64_t>(labels[8 * i]), CheckableDataset::label_of(slots[slot].first + i));
      for (std::size_t place = 0; place < 37; ++place) {
        ASSERT_EQ(arena.field(slot, 0)[i * 37 + place], CheckableDataset::byte_of(slots[slot].first + i, place));
      }
    }
    slots[slot] = publish(slot, round);
  }
  stop = true;
  for (std::thread& worker : workers) worker.join();
}

}  // namespace
}  // namespace trainyard
