#include "report/page.h"

#include <fmt/format.h>

#include "report/page_css.h"
#include "report/page_js.h"
#include "util/json_text.h"

namespace trainyard {
namespace {

// The policy forbids all requests, whatever the page contains.
constexpr const char* page_format = R"(<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<title>Trainyard report</title>
<style>
{css}</style>
</head>
<body>
<main><noscript>This report is drawn by a script in it, which this viewer does not run. Open it in a browser.</noscript></main>
<script type="application/json" id="data">{data}</script>
<script>
{js}</script>
</body>
</html>
)";

// JSON that is safe in a script element: contains no "</script" and no "<!--".
std::string embeddable(const nlohmann::json& json) {
  const std::string text = json_text(json);
  std::string result;
  result.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      result += "\\u003c";
    } else {
      result += c;
    }
  }
  return result;
}

}  // namespace

std::string report_page(const std::vector<RunReport>& runs, const std::string& created) {
  nlohmann::json data = {{"version", TRAINYARD_VERSION}, {"created", created}, {"runs", nlohmann::json::array()}};
  for (const RunReport& run : runs) {
    data["runs"].push_back({{"name", run.record.name},
                            {"path", run.record.path},
                            {"epochs", run.record.epochs},
                            {"steps", run.record.steps},
                            {"ranks", run.record.ranks},
                            {"check", run.record.check},
                            {"config", run.record.config},
                            {"warnings", run.record.warnings},
                            {"evaluation", run.evaluation},
                            {"note", run.note}});
  }
  return fmt::format(page_format, fmt::arg("css", page_css), fmt::arg("js", page_js),
                     fmt::arg("data", embeddable(data)));
}

std::string png_url(const std::string& file) {
  constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string url = "data:image/png;base64,";
  for (std::size_t i = 0; i < file.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t j = i; j < i + 3; ++j)
      bits = bits << 8 | (j < file.size() ? static_cast<unsigned char>(file[j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) {
      url += i + j > file.size() ? '=' : digits[bits >> (18 - 6 * j) & 63];
    }
  }
  return url;
}

}  // namespace trainyard
