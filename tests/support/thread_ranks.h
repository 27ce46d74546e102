/// Runs the ranks of a host as threads of the test.
#pragma once

#include <barrier>
#include <exception>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "loader/exchange_descriptors.h"

namespace trainyard {

/// Calls `work` with the group of each of `count` ranks, each in a thread of its own. Rethrows the exception of the
/// first rank that threw one; a rank that throws must do so where all ranks throw, as the others would wait for it.
inline void run_thread_ranks(int count, const std::function<void(const HostGroup& group)>& work) {
  const auto size = static_cast<std::size_t>(count);
  std::vector<std::string> texts(size);
  std::vector<std::exception_ptr> errors(size);
  std::barrier all_ranks(count);
  std::vector<std::jthread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, own = static_cast<std::size_t>(rank)] {
      const HostGroup group{.rank = static_cast<int>(own),
                            .count = count,
                            .timeout_seconds = 600,
                            .all_gather = [&, own](const std::string& text) {
                              texts[own] = text;
                              all_ranks.arrive_and_wait();
                              std::vector<std::string> gathered = texts;
                              all_ranks.arrive_and_wait();
                              return gathered;
                            }};
      try {
        work(group);
      } catch (...) {
        errors[own] = std::current_exception();
      }
    });
  }
  threads.clear();  // joins them
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace trainyard
