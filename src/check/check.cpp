#include "check/check.h"

#include <nlohmann/json.hpp>

#include "check/facts_json.h"

namespace trainyard {
namespace {

const char* name_of(Severity severity) {
  return severity == Severity::error ? "error" : severity == Severity::warning ? "warning" : "note";
}

}  // namespace

CheckResult judge(Facts facts, const Needs& needs) {
  auto findings = diagnose(facts, needs);
  return {needs, std::move(facts), std::move(findings)};
}

ExitCode exit_code(const CheckResult& result) {
  // Errors come first.
  const bool unfit = !result.findings.empty() && result.findings.front().severity == Severity::error;
  return unfit ? ExitCode::machine_not_fit : ExitCode::done;
}

nlohmann::json to_json(const CheckResult& result) {
  auto findings = nlohmann::json::array();
  for (const Finding& finding : result.findings) {
    findings.push_back({{"severity", name_of(finding.severity)},
                        {"code", finding.code},
                        {"subject", finding.subject},
                        {"what", finding.what},
                        {"why", finding.why},
                        {"remedy", finding.remedy}});
  }
  return {{"schema", facts_schema},
          {"ready", exit_code(result) == ExitCode::done},
          {"facts", facts_to_json(result.facts)},
          {"findings", std::move(findings)}};
}

}  // namespace trainyard
