#include "check/check.h"

#include <nlohmann/json.hpp>

#include "check/anonymous.h"
#include "check/facts_json.h"
#include "check/facts_text.h"
#include "check/render.h"
#include "util/json_text.h"

namespace trainyard {
CheckResult judge(Facts facts, const Needs& needs) {
  Facts shown = printable_facts(std::move(facts));
  Needs shown_needs = printable_needs(needs);
  auto findings = diagnose(shown, shown_needs);
  return {std::move(shown_needs), std::move(shown), std::move(findings)};
}

Needs with_given(Needs recorded, const Needs& now, const std::vector<std::string>& given) {
  for (const std::string& key : given) {
    if (key == "train.device") recorded.device = now.device;
    if (key == "train.precision") recorded.precision = now.precision;
    if (key == "run.dir") recorded.run_dir = now.run_dir;
    if (key == "data.root") recorded.data_root = now.data_root;
    if (key == "loader.batch_size") recorded.batch_size = now.batch_size;
    if (key == "loader.workers") {
      recorded.workers = now.workers;
      recorded.memory = now.memory;
    }
    if (key.starts_with("loader.") || key.starts_with("data."))
      recorded.shared_memory = recorded.shared_memory_least = 0;
  }
  return recorded;
}

ExitCode exit_code(const CheckResult& result) {
  // Errors come first.
  const bool unfit = !result.findings.empty() && result.findings.front().severity == Severity::error;
  return unfit ? ExitCode::machine_not_fit : ExitCode::done;
}

std::string to_json_text(const CheckResult& result) {
  auto findings = nlohmann::json::array();
  for (const Finding& finding : result.findings) {
    findings.push_back({{"severity", name_of(finding.severity)},
                        {"code", finding.code},
                        {"subject", finding.subject},
                        {"devices", finding.devices},
                        {"what", finding.what},
                        {"why", finding.why},
                        {"remedy", finding.remedy}});
  }
  Needs shown = result.needs;
  shown.run_dir = anonymous(shown.run_dir);
  shown.data_root = anonymous(shown.data_root);
  const nlohmann::json json = {{"schema", facts_schema},
                               {"ready", exit_code(result) == ExitCode::done},
                               {"verdict", verdict(result)},
                               {"needs", needs_to_json(shown)},
                               {"facts", facts_to_json(result.facts)},
                               {"findings", std::move(findings)}};
  return json_text(json, 2) + "\n";
}

}  // namespace trainyard
