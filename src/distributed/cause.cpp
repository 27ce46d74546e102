#include "distributed/cause.h"

#include <algorithm>
#include <vector>

namespace trainyard {
namespace {

Cause cause_of(const RankReport& report) {
  return {.rank = report.rank, .code = static_cast<ExitCode>(report.code), .message = report.message, .exit_code = 0};
}

}  // namespace

std::optional<Cause> first_cause(const Outcomes& outcomes) {
  std::vector<RankReport> errors = reports_of_last_start(outcomes);
  std::erase_if(errors, [](const RankReport& report) { return report.kind != RankReport::Kind::failed; });
  const auto primary = std::find_if(errors.begin(), errors.end(), [](const auto& error) { return !error.secondary; });
  if (primary != errors.end()) return cause_of(*primary);

  const auto told = [&](int rank) {
    return std::any_of(errors.begin(), errors.end(), [&](const RankReport& error) { return error.rank == rank; });
  };
  for (const RankFailure& failure : outcomes.failures) {
    if (told(failure.rank)) continue;
    return Cause{.rank = failure.rank, .code = ExitCode::run_failed, .message = {}, .exit_code = failure.exit_code};
  }
  if (!errors.empty()) return cause_of(errors.front());
  return std::nullopt;
}

}  // namespace trainyard
