// A model of the protocol of loader/tickets.h, checked over every interleaving of a trainer and two workers, with
// deaths at any instruction. A state is a few bytes; a step is one access to shared memory or one event of the kernel.
// The search visits every reachable state and fails on
// - a delivered batch that is incomplete, has the wrong number or is still being written to;
// - a chunk written by two workers, or by one that believes it belongs to another batch;
// - a deadlock: only a time-out could make progress, and not all batches are delivered.
// To catch mistakes in the model itself, the same search must find the fault in three wrong protocols.
//
// The model leaves out hints and the queue (a worker here always reads every word, as the real one does before it
// sleeps), time-outs (they only end waits, and the protocol must not depend on them), cancel() (a chunk settled by the
// trainer), and memory order (sequential consistency is assumed; where tickets.cpp uses a weaker order, a comment there
// or the protocol's text says why it may).
#include <array>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include <gtest/gtest.h>

#include "util/random.h"

namespace trainyard {
namespace {

constexpr int workers = 2;
constexpr int max_slots = 2;
constexpr int max_chunks = 2;

// Parameters of the search, and deliberate faults of the protocol.
struct Protocol {
  int slots;
  int chunks;  // per batch
  int batches;
  int deaths = 0;
  bool words_carry_the_batch = true;
  bool looks_at_work_counter_first = true;
  bool waits_for_the_dead = true;
};

enum class WordState : std::uint8_t { free, claimed, done };
struct Word {
  std::uint8_t batch = 0;
  std::uint8_t worker = 0;
  WordState state = WordState::done;
  bool operator==(const Word&) const = default;
};
struct Data {
  std::uint8_t batch = 0;  // whose samples the chunk holds
  std::uint8_t whole = 1;
  std::uint8_t writers = 0;  // bit w: worker w is between its first and its last byte
};

enum class WorkerAt : std::uint8_t {
  read_work,
  read_range,
  read_word,
  claim,
  begin_write,
  end_write,
  settle,
  check_settled,
  tell,
  sleep,
  sleeping
};
enum class Life : std::uint8_t { alive, dead, reported };
struct Worker {
  WorkerAt at = WorkerAt::read_work;
  Life life = Life::alive;
  std::uint8_t seen = 0, end = 0, batch = 0, chunk = 0;
};

enum class TrainerAt : std::uint8_t {
  publish,
  write_words,
  write_published,
  change_work,
  wake,
  look_at_exits,
  check_settled,
  wait,
  deliver,
  take_back,
  change_work_after_death,
  wake_and_fork,
  finished
};
struct State {
  std::uint8_t work = 0, published = 1, oldest = 1, news = 0, deaths_left = 0;
  std::array<std::uint8_t, max_slots> request{};
  std::array<std::array<Word, max_chunks>, max_slots> words{};
  std::array<std::array<Data, max_chunks>, max_slots> data{};
  std::array<Worker, workers> worker{};
  TrainerAt at = TrainerAt::publish;
  std::uint8_t next = 1, writing = 1, chunk = 0, lost = 0;  // batch to deliver, batch being published, registers
};
static_assert(std::has_unique_object_representations_v<State>, "states are compared byte by byte");

class Search {
 public:
  explicit Search(const Protocol& protocol) : protocol_(protocol), seen_(std::size_t{1} << 16) {}

  // Returns the fault found in a reachable state, or an empty string.
  std::string fault() {
    State first;
    first.deaths_left = static_cast<std::uint8_t>(protocol_.deaths);
    visit(first);
    while (!open_.empty() && fault_.empty()) {
      const State state = open_.back();
      open_.pop_back();
      bool moves = step_trainer(state);
      for (std::uint8_t w = 0; w < workers; ++w) {
        moves |= step_worker(state, w);
        moves |= step_kernel(state, w);
      }
      if (!moves && state.at != TrainerAt::finished) fail("a standstill");
    }
    return fault_;
  }
  std::size_t states() const { return count_; }

 private:
  std::uint8_t slot_of(std::uint8_t batch) const { return static_cast<std::uint8_t>(batch % protocol_.slots); }
  bool is_free(const Word& word, std::uint8_t batch) const {
    return word.state == WordState::free && (word.batch == batch || !protocol_.words_carry_the_batch);
  }
  bool is_settled(const Word& word, std::uint8_t batch) const {
    return word.state == WordState::done && (word.batch == batch || !protocol_.words_carry_the_batch);
  }
  void fail(const std::string& what) {
    if (fault_.empty()) fault_ = what;
  }

  // Adds a state unless it has been visited. Only 64 bits of each are kept: the probability that two of ten million
  // states share them is below 1 in 100,000.
  void visit(const State& state) {
    std::array<std::uint64_t, (sizeof(State) + 7) / 8> bytes{};
    std::memcpy(bytes.data(), &state, sizeof state);
    std::uint64_t key = 1;
    for (const std::uint64_t part : bytes) key = mix64(key ^ part);
    if (!insert(seen_, key)) return;
    open_.push_back(state);
    if (++count_ * 2 < seen_.size()) return;
    std::vector<std::uint64_t> larger(seen_.size() * 2);
    for (const std::uint64_t old : seen_) {
      if (old != 0) insert(larger, old);
    }
    seen_ = std::move(larger);
  }
  static bool insert(std::vector<std::uint64_t>& table, std::uint64_t key) {
    if (key == 0) key = 1;
    for (std::size_t i = key & (table.size() - 1);; i = (i + 1) & (table.size() - 1)) {
      if (table[i] == key) return false;
      if (table[i] != 0) continue;
      table[i] = key;
      return true;
    }
  }

  // Clears the registers that are written before they are read again, so that they do not multiply the states.
  static void look_for_work(Worker& worker, WorkerAt at) {
    const std::uint8_t seen = at == WorkerAt::read_work ? std::uint8_t{0} : worker.seen;
    worker = Worker{.at = at, .seen = seen};
  }
  void next_batch(Worker& worker) const {
    worker.chunk = 0;
    if (worker.batch < worker.end) {
      worker.at = WorkerAt::read_word;
    } else {
      look_for_work(worker, WorkerAt::sleep);
    }
  }
  void next_chunk(Worker& worker) const {
    worker.at = WorkerAt::read_word;
    if (++worker.chunk < protocol_.chunks) return;
    ++worker.batch;
    next_batch(worker);
  }

  bool step_worker(State state, std::uint8_t w) {
    Worker& worker = state.worker[w];
    if (worker.life != Life::alive) return false;
    const std::uint8_t slot = slot_of(worker.batch);
    switch (worker.at) {
      case WorkerAt::read_work:
        worker.seen = state.work;
        worker.at = WorkerAt::read_range;
        break;
      case WorkerAt::read_range:
        worker.end = state.published;
        worker.batch = state.oldest;
        next_batch(worker);
        break;
      case WorkerAt::read_word:
        if (is_free(state.words[slot][worker.chunk], worker.batch)) {
          worker.at = WorkerAt::claim;
        } else {
          next_chunk(worker);
        }
        break;
      case WorkerAt::claim:
        if (Word& word = state.words[slot][worker.chunk]; is_free(word, worker.batch)) {
          word = {word.batch, w, WordState::claimed};
          worker.at = WorkerAt::begin_write;
          worker.end = 0;
        } else {
          next_chunk(worker);
        }
        break;
      case WorkerAt::begin_write: {
        Data& data = state.data[slot][worker.chunk];
        if (state.request[slot] != worker.batch) fail("a worker reads the request of another batch");
        if (data.writers != 0) fail("two workers write to one chunk");
        data = {worker.batch, 0, static_cast<std::uint8_t>(data.writers | 1 << w)};
        worker.at = WorkerAt::end_write;
        break;
      }
      case WorkerAt::end_write: {
        Data& data = state.data[slot][worker.chunk];
        data = {worker.batch, 1, static_cast<std::uint8_t>(data.writers & ~(1 << w))};
        worker.at = WorkerAt::settle;
        break;
      }
      case WorkerAt::settle:
        state.words[slot][worker.chunk] = {worker.batch, w, WordState::done};
        worker.chunk = 0;
        worker.at = WorkerAt::check_settled;
        break;
      case WorkerAt::check_settled:
        if (!is_settled(state.words[slot][worker.chunk], worker.batch)) {
          look_for_work(worker, WorkerAt::read_range);
        } else if (++worker.chunk == protocol_.chunks) {
          look_for_work(worker, WorkerAt::tell);
        }
        break;
      case WorkerAt::tell:
        state.news = 1;
        worker.at = WorkerAt::read_range;
        break;
      case WorkerAt::sleep:
        if (protocol_.looks_at_work_counter_first && state.work != worker.seen) {
          look_for_work(worker, WorkerAt::read_work);
        } else {
          look_for_work(worker, WorkerAt::sleeping);
          worker.seen = 0;
        }
        break;
      case WorkerAt::sleeping:
        return false;
    }
    visit(state);
    return true;
  }

  // Kills a worker at any instruction; later reports its death to the trainer, once it has been waited for.
  bool step_kernel(State state, std::uint8_t w) {
    Worker& worker = state.worker[w];
    if (worker.life == Life::reported) return false;
    if (worker.life == Life::alive) {
      // A possible death does not count as progress, so a deadlock stays one.
      if (state.deaths_left == 0) return false;
      --state.deaths_left;
      if (protocol_.waits_for_the_dead) {
        // It may have been in the middle of a chunk, which nobody writes to any more.
        if (worker.at == WorkerAt::end_write) {
          state.data[slot_of(worker.batch)][worker.chunk].writers &= static_cast<std::uint8_t>(~(1 << w));
        }
        worker = Worker{.life = Life::dead};
        visit(state);
      } else {
        state.lost = w;
        state.at = state.at == TrainerAt::wait ? TrainerAt::take_back : state.at;  // presumed dead, but only slow
        visit(state);
      }
      return false;
    }
    worker.life = Life::reported;
    visit(state);
    return true;
  }

  static void wake_workers(State& state) {
    for (Worker& worker : state.worker) {
      if (worker.life == Life::alive && worker.at == WorkerAt::sleeping) look_for_work(worker, WorkerAt::read_work);
    }
  }

  bool step_trainer(State state) {
    const std::uint8_t slot = slot_of(state.next);
    switch (state.at) {
      case TrainerAt::publish:
        if (state.writing > protocol_.batches || state.writing >= state.next + protocol_.slots) {
          state.at = TrainerAt::look_at_exits;
          break;
        }
        state.request[slot_of(state.writing)] = state.writing;
        state.chunk = 0;
        state.at = TrainerAt::write_words;
        break;
      case TrainerAt::write_words:
        state.words[slot_of(state.writing)][state.chunk] = {state.writing, 0, WordState::free};
        if (++state.chunk == protocol_.chunks) state.at = TrainerAt::write_published;
        break;
      case TrainerAt::write_published:
        state.published = ++state.writing;
        state.at = TrainerAt::change_work;
        break;
      case TrainerAt::change_work:
        ++state.work;
        state.at = TrainerAt::wake;
        break;
      case TrainerAt::wake:
        wake_workers(state);
        state.at = TrainerAt::publish;
        break;
      case TrainerAt::look_at_exits:
        state.chunk = 0;
        state.at = TrainerAt::check_settled;
        for (std::uint8_t w = 0; w < workers; ++w) {
          if (state.worker[w].life != Life::reported) continue;
          state.lost = w;
          state.at = TrainerAt::take_back;
        }
        break;
      case TrainerAt::check_settled:
        if (!is_settled(state.words[slot][state.chunk], state.next)) {
          state.at = TrainerAt::wait;
        } else if (++state.chunk == protocol_.chunks) {
          state.at = TrainerAt::deliver;
        }
        break;
      case TrainerAt::wait: {
        bool exits = false;
        for (const Worker& worker : state.worker) exits |= worker.life == Life::reported;
        if (state.news == 0 && !exits) return false;
        state.news = 0;
        state.at = TrainerAt::look_at_exits;
        break;
      }
      case TrainerAt::deliver:
        for (int chunk = 0; chunk < protocol_.chunks; ++chunk) {
          const Data& data = state.data[slot][chunk];
          if (data.batch != state.next || data.whole == 0 || data.writers != 0) fail("a batch is not whole");
        }
        state.oldest = ++state.next;
        state.at = state.next > protocol_.batches ? TrainerAt::finished : TrainerAt::publish;
        break;
      case TrainerAt::take_back:
        for (std::uint8_t batch = state.next; batch < state.writing; ++batch) {
          for (Word& word : state.words[slot_of(batch)]) {
            if (word != Word{batch, state.lost, WordState::claimed}) continue;
            word = {batch, 0, WordState::free};
          }
        }
        state.at = TrainerAt::change_work_after_death;
        break;
      case TrainerAt::change_work_after_death:
        ++state.work;
        state.at = TrainerAt::wake_and_fork;
        break;
      case TrainerAt::wake_and_fork:
        wake_workers(state);
        if (protocol_.waits_for_the_dead) state.worker[state.lost] = Worker();
        state.lost = 0;
        state.at = TrainerAt::look_at_exits;
        break;
      case TrainerAt::finished:
        return false;
    }
    if (state.at != TrainerAt::write_words && state.at != TrainerAt::check_settled) state.chunk = 0;
    visit(state);
    return true;
  }

  Protocol protocol_;
  std::vector<State> open_;
  std::vector<std::uint64_t> seen_;
  std::size_t count_ = 0;
  std::string fault_;
};

void expect_no_fault(const Protocol& protocol) {
  Search search(protocol);
  EXPECT_EQ(search.fault(), "");
  printf("%d slots, %d chunks, %d batches, %d deaths: %zu states\n", protocol.slots, protocol.chunks, protocol.batches,
         protocol.deaths, search.states());
}

TEST(TicketsModel, NoInterleavingBreaksTheProtocol) {
  expect_no_fault({.slots = 2, .chunks = 1, .batches = 3});
  expect_no_fault({.slots = 1, .chunks = 2, .batches = 3});
  expect_no_fault({.slots = 2, .chunks = 2, .batches = 2});
}

TEST(TicketsModel, NoDeathBreaksTheProtocol) {
  expect_no_fault({.slots = 2, .chunks = 1, .batches = 3, .deaths = 1});
  expect_no_fault({.slots = 2, .chunks = 1, .batches = 2, .deaths = 2});
  expect_no_fault({.slots = 1, .chunks = 2, .batches = 2, .deaths = 1});
  expect_no_fault({.slots = 1, .chunks = 2, .batches = 1, .deaths = 2});
}

TEST(TicketsModel, WordsWithoutTheBatchsNumberAreFoundOut) {
  EXPECT_NE(Search({.slots = 1, .chunks = 2, .batches = 2, .words_carry_the_batch = false}).fault(), "");
}

TEST(TicketsModel, DetectsLostWakeUps) {
  EXPECT_EQ(Search({.slots = 1, .chunks = 2, .batches = 1, .looks_at_work_counter_first = false}).fault(),
            "a standstill");
}

TEST(TicketsModel, TakingAChunkFromAWorkerThatIsOnlySlowIsFoundOut) {
  EXPECT_NE(Search({.slots = 1, .chunks = 2, .batches = 1, .deaths = 1, .waits_for_the_dead = false}).fault(), "");
}

}  // namespace
}  // namespace trainyard
