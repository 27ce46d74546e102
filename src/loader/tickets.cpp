#include "loader/tickets.h"

#include <climits>

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

namespace trainyard {

std::uint64_t Tickets::publish(std::uint32_t slot, const BatchRequest& request) {
  Control& control = arena_->control();
  const std::uint64_t batch = control.published.load(std::memory_order_relaxed);
  SlotRecord& record = arena_->slot(slot);
  record.request = request;
  record.hint.store(0, std::memory_order_relaxed);
  for (std::uint32_t i = 0; i < arena_->shape().fields; ++i) arena_->guard(slot, i) = batch;
  for (auto& mark : arena_->left_out(slot)) mark.store(0, std::memory_order_relaxed);

  const std::uint32_t used = (request.count + arena_->shape().chunk_size() - 1) / arena_->shape().chunk_size();
  const auto words = arena_->words(slot);
  for (std::uint32_t chunk = 0; chunk < words.size(); ++chunk) {
    const ChunkState state = chunk < used ? ChunkState::free : ChunkState::done;
    arena_->error(slot, chunk).written.store(0, std::memory_order_relaxed);
    words[chunk].store(ChunkWord{batch, 0, state}.pack());
  }
  arena_->queue(batch).store(slot, std::memory_order_release);
  control.published.store(batch + 1, std::memory_order_release);
  wake_workers();
  return batch;
}

void Tickets::wake_workers() {
  std::atomic<std::uint32_t>& work = arena_->control().work;
  work.fetch_add(1);
  syscall(SYS_futex, &work, FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

void Tickets::cancel(std::uint64_t batch, std::uint32_t slot) {
  for (auto& word : arena_->words(slot)) {
    std::uint64_t free = ChunkWord{batch, 0, ChunkState::free}.pack();
    word.compare_exchange_strong(free, ChunkWord{batch, 0, ChunkState::done}.pack());
  }
}

std::optional<Claim> Tickets::claim_of(std::uint32_t worker, const PublishedBatch& batch) const {
  const auto words = arena_->words(batch.slot);
  const std::uint64_t claimed = ChunkWord{batch.batch, worker, ChunkState::claimed}.pack();
  for (std::uint32_t chunk = 0; chunk < words.size(); ++chunk) {
    if (words[chunk].load() == claimed) return Claim{batch.batch, batch.slot, chunk};
  }
  return std::nullopt;
}

void Tickets::take_back(const Claim& claim, ChunkState state) {
  arena_->words(claim.slot)[claim.chunk].store(ChunkWord{claim.batch, 0, state}.pack());
  arena_->slot(claim.slot).hint.store(0, std::memory_order_relaxed);
  wake_workers();
}

void Tickets::set_oldest(std::uint64_t batch) { arena_->control().oldest.store(batch, std::memory_order_relaxed); }

bool Tickets::is_settled(std::uint64_t batch, std::uint32_t slot) const {
  for (const auto& packed : arena_->words(slot)) {
    const ChunkWord word = ChunkWord::unpack(packed.load());
    if (word.batch != batch || word.state == ChunkState::free || word.state == ChunkState::claimed) return false;
  }
  return true;
}

std::optional<std::uint32_t> Tickets::failed_chunk(std::uint32_t slot) const {
  const auto words = arena_->words(slot);
  for (std::uint32_t chunk = 0; chunk < words.size(); ++chunk) {
    if (ChunkWord::unpack(words[chunk].load()).state == ChunkState::failed) return chunk;
  }
  return std::nullopt;
}

std::optional<Claim> Tickets::claim(std::uint32_t worker) {
  const Control& control = arena_->control();
  for (const bool trust_hints : {true, false}) {
    const std::uint64_t end = control.published.load(std::memory_order_acquire);
    for (std::uint64_t batch = control.oldest.load(std::memory_order_relaxed); batch < end; ++batch) {
      const std::uint32_t slot = arena_->queue(batch).load(std::memory_order_acquire);
      const std::uint32_t first = trust_hints ? arena_->slot(slot).hint.load(std::memory_order_relaxed) : 0;
      if (const auto claimed = claim_in(batch, slot, first, worker)) return claimed;
    }
  }
  return std::nullopt;
}

std::optional<Claim> Tickets::claim_in(std::uint64_t batch, std::uint32_t slot, std::uint32_t first_chunk,
                                       std::uint32_t worker) {
  const auto words = arena_->words(slot);
  for (std::uint32_t chunk = first_chunk; chunk < words.size(); ++chunk) {
    std::uint64_t free = ChunkWord{batch, 0, ChunkState::free}.pack();
    if (words[chunk].load(std::memory_order_relaxed) != free) continue;  // avoids cache traffic
    if (words[chunk].compare_exchange_strong(free, ChunkWord{batch, worker, ChunkState::claimed}.pack())) {
      arena_->slot(slot).hint.store(chunk + 1, std::memory_order_relaxed);
      return Claim{batch, slot, chunk};
    }
  }
  return std::nullopt;
}

bool Tickets::settle(const Claim& claim, std::uint32_t worker, ChunkState state) {
  arena_->words(claim.slot)[claim.chunk].store(ChunkWord{claim.batch, worker, state}.pack());
  return is_settled(claim.batch, claim.slot);
}

std::uint32_t Tickets::work_seen() const { return arena_->control().work.load(); }

void Tickets::wait_for_work(std::uint32_t seen, int seconds) const {
  const timespec limit{seconds, 0};
  // After every outcome (woken, already changed, interrupted, timed out) the caller looks for work again.
  syscall(SYS_futex, &arena_->control().work, FUTEX_WAIT, seen, &limit, nullptr, 0);
}

}  // namespace trainyard
