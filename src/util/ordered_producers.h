/// Produces items in several processes and delivers them in order. Item i comes from process i modulo the number of
/// processes, through a pipe whose capacity lets each process work ahead. The processes share nothing, so the order
/// does not depend on timing.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <sys/types.h>

#include "util/process_end.h"
#include "util/system.h"

namespace trainyard {

/// Not thread-safe. Its processes end with it and with the process that created it.
class OrderedProducers {
 public:
  /// Returns the bytes of item `index`, valid until the next call. next() rethrows what it throws.
  using Make = std::function<std::span<const std::byte>(std::size_t index)>;

  /// Produces items 0 to count - 1 with `processes` child processes, or in this process if `processes` is 0. Errors
  /// begin with [where]. REQUIRES that this process has no other threads, because it forks. Throws RunError.
  OrderedProducers(std::size_t count, int processes, Make make, std::string where);
  OrderedProducers(const OrderedProducers&) = delete;
  OrderedProducers& operator=(const OrderedProducers&) = delete;
  ~OrderedProducers();

  /// Returns the next item, valid until the next call. REQUIRES that fewer than `count` items have been taken. Throws
  /// what `make` threw, as the same kind of Error, and RunError if the process that was making the item has died; that
  /// process is replaced, and the next call returns the item after it.
  std::span<const std::byte> next();

 private:
  struct Producer {
    pid_t pid;
    UniqueFd pipe;
  };

  Producer fork_producer(std::size_t first);
  [[noreturn]] void produce_from(std::size_t first, int pipe) noexcept;
  void send_item(std::size_t index, int pipe) const;
  void read_from(Producer& producer, std::span<std::byte> bytes);
  [[noreturn]] void throw_death(Producer& producer);

  std::size_t count_;
  std::size_t step_;  ///< number of processes
  std::size_t taken_ = 0;
  Make make_;
  std::string where_;
  ProcessEnds ends_;
  std::vector<Producer> producers_;  ///< empty: this process makes the items
  std::vector<std::byte> item_;
};

}  // namespace trainyard
