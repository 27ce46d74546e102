#include "check/check.h"

#include <nlohmann/json.hpp>

#include "check/anonymous.h"
#include "check/facts_json.h"
#include "check/render.h"
#include "util/json_text.h"

namespace trainyard {
CheckResult judge(Facts facts, const Needs& needs) {
  auto findings = diagnose(facts, needs);
  return {needs, std::move(facts), std::move(findings)};
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
