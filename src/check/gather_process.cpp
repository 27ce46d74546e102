#include "check/gather_process.h"

#include <utility>

#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/facts_json.h"
#include "check/facts_text.h"
#include "util/error.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

[[noreturn]] void run_child(const std::function<void(Facts&)>& gather) {
  Facts facts;
  gather(facts);
  tell_parent(json_text(facts_to_json(printable_facts(std::move(facts)))));
  close(STDOUT_FILENO);  // ends read()
  close(STDERR_FILENO);
  for (;;) pause();
}

}  // namespace

GatherProcess::GatherProcess(const std::string& name, const std::function<void(Facts&)>& gather,
                             std::chrono::milliseconds limit)
    : process_(name, [&] { run_child(gather); }, limit) {}

std::optional<ProcessFailure> GatherProcess::read(Facts& facts) {
  bool received = false;
  process_.read_lines([&](const std::string& line) {
    try {
      facts = recorded_from_json(line).facts;
      received = true;
    } catch (const UsageError&) {
      return false;  // a message of the driver
    }
    return true;
  });
  if (received) return std::nullopt;
  return process_.end().value_or(ProcessFailure{.message = "it ended without a result"});
}

}  // namespace trainyard
