#include "report/page.h"

#include <filesystem>
#include <regex>

#include <gmock/gmock.h>

#include "images/encode_png.h"
#include "report/thumbnail.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"

namespace trainyard {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr const char* hostile = "</script><img src=x onerror=alert(1)><!--<script>alert('\"&{}";

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

json class_json(const std::string& name, int samples, int right) {
  return {{"name", name},
          {"samples", samples},
          {"guesses", samples},
          {"right", right},
          {"recall", right / static_cast<double>(samples)},
          {"precision", right / static_cast<double>(samples)},
          {"f1", nullptr}};
}

// A run of three classes with everything that a page shows; one name is as hostile as possible.
RunReport run(const std::string& name) {
  RunReport result;
  result.record = {
      .name = name,
      .path = "runs/" + name,
      .epochs = json::array(),
      .steps = json::array(),
      .ranks = json::array(),
      .check = {{"ready", true},
                {"facts", {{"host", {{"cores", 2}, {"memory", 1 << 30}, {"distribution", hostile}}}}},
                {"findings", {{{"severity", "warning"}, {"what", hostile}, {"why", ""}, {"remedy", ""}}}}},
      .config = "[model]\nname = \"convnet\"\n\n[task.classification]\nlabel_smoothing = 0.1\n\n[run]\nname = \"" +
                name + "\"\n"};
  for (int step = 1; step <= 40; ++step) {
    result.record.steps.push_back({{"step", step},
                                   {"train/loss", step == 7 ? json(nullptr) : json(30.0 / step)},
                                   {"train/accuracy", step / 50.0},
                                   {"lr", 0.1},
                                   {"samples_per_second", step * 10000},
                                   {"data_wait", 0.01}});
  }
  for (int epoch = 1; epoch <= 2; ++epoch) {
    result.record.epochs.push_back({{"epoch", epoch},
                                    {"step", 20 * epoch},
                                    {"val/loss", 1.0 / epoch},
                                    {"val/accuracy", 0.4 * epoch},
                                    {"val/top5", 0.9980 + 0.0003 * epoch},
                                    {"val/mae", 2.3010 + 0.0004 * epoch},
                                    {"val/rmse", 1.01e-4 + 2e-7 * epoch},
                                    {"samples_per_second", epoch == 1 ? 100 : 900},
                                    {"data_wait", 0.01}});
  }
  for (const int rank : {0, 1, 2}) {
    for (int epoch = 1; epoch <= 2; ++epoch) {
      result.record.ranks.push_back(
          {{"epoch", epoch}, {"step", 20 * epoch}, {"rank", rank}, {"data_wait", 0.125 * rank * epoch}});
    }
  }
  const std::string image = png_url(encode_png({2, 2, 1, std::vector<std::byte>(4, std::byte{200})}));
  result.evaluation = {{"checkpoint", "step-00000040"},
                       {"epoch", 2},
                       {"dataset", "synthetic"},
                       {"split", "test"},
                       {"precision", "fp32"},
                       {"samples", 30},
                       {"evaluated_on", "all 30 samples"},
                       {"monitor", "accuracy"},
                       {"higher_is_better", true},
                       {"metrics", {"loss", "accuracy", "top5"}},
                       {"ranked_by", "recall"},
                       {"unit", "images"},
                       {"worst_title", "most wrong"},
                       {"test/loss", 0.5},
                       {"test/accuracy", 0.87654},
                       {"test/top5", 1},
                       {"classes", {class_json("cat", 10, 9), class_json(hostile, 10, 8), class_json("dog", 10, 10)}},
                       {"confusion",
                        {{{"label", 0}, {"guess", 0}, {"samples", 9}},
                         {{"label", 0}, {"guess", 1}, {"samples", 1}},
                         {{"label", 1}, {"guess", 1}, {"samples", 8}},
                         {{"label", 1}, {"guess", 2}, {"samples", 2}},
                         {{"label", 2}, {"guess", 2}, {"samples", 10}}}},
                       {"worst",
                        {{{"index", 3},
                          {"name", std::string("test/") + hostile},
                          {"caption", std::string("is ") + hostile + ", taken for dog"},
                          {"image", image}}}}};
  return result;
}

// A run with two targets; the name of the first is hostile.
RunReport regression_run(const std::string& name) {
  RunReport result = run(name);
  json& evaluation = result.evaluation;
  for (const char* const key : {"classes", "confusion", "ranked_by"}) evaluation.erase(key);
  for (json& row : result.record.steps) row["samples_per_second"] = 1.9;
  evaluation["monitor"] = "r2";
  evaluation["metrics"] = {"loss", "r2", "mae", "rmse"};
  evaluation["test/r2"] = 0.91;
  evaluation["test/mae"] = 0.5;
  evaluation["test/rmse"] = 0.7;
  for (const std::string& target : {std::string(hostile), std::string("price")}) {
    evaluation["targets"].push_back({{"name", target},
                                     {"r2", 0.91},
                                     {"mae", 0.5},
                                     {"rmse", 0.7},
                                     {"truth", {1.0, 2.0, 4.0}},
                                     {"prediction", {1.5, 1.75, 4.25}},
                                     {"errors", {{"low", -1.0}, {"high", 1.0}, {"samples", {1, 0, 2, 1}}}}});
  }
  return result;
}

TEST(ReportPage, HoldsTheFiguresAndTheStyleAndTheScript) {
  const std::string page = report_page({run("a")}, "2026-01-02 03:04 UTC");
  for (const char* part : {"<!DOCTYPE html>", "0.87654", "step-00000040", "data:image/png;base64,", "2026-01-02 03:04",
                           "prefers-color-scheme: dark", "ResizeObserver", "</html>"}) {
    EXPECT_THAT(page, HasSubstr(part));
  }
}

TEST(ReportPage, NoTextCanBecomeMarkup) {
  const std::string page = report_page({run(hostile)}, "now");
  EXPECT_EQ(count_of(page, "<script"), 2u);
  EXPECT_EQ(count_of(page, "</script"), 2u);
  EXPECT_EQ(count_of(page, "<!--"), 0u);
  EXPECT_EQ(count_of(page, "<img"), 0u);
  const std::size_t begin = page.find("id=\"data\">") + 10;
  const json data = json::parse(page.substr(begin, page.find("</script>", begin) - begin));
  EXPECT_EQ(data["runs"][0]["name"], hostile) << "escaped, not lost";
}

TEST(ReportPage, NamesThatAreNotUtf8AreShownAsFarAsTheyGo) {
  EXPECT_THAT(report_page({run("a\xff\xfe"
                               "b")},
                          "now"),
              HasSubstr("a\xef\xbf\xbd"));
}

TEST(ReportPage, KeepsZeroBytesAndLongNames) {
  const std::string name = std::string("a\0b</script>", 12) + std::string(1 << 20, 'w');
  const std::string page = report_page({run(name)}, "now");
  EXPECT_EQ(page.find('\0'), std::string::npos);
  const std::size_t begin = page.find("id=\"data\">") + 10;
  EXPECT_EQ(json::parse(page.substr(begin, page.find("</script>", begin) - begin))["runs"][0]["name"], name);
}

TEST(ReportPage, NamesNoOtherPlaceToLoadFrom) {
  std::string page = report_page({run("a")}, "now");
  page = std::regex_replace(page, std::regex("'http://www\\.w3\\.org/2000/svg'"), "");  // a namespace, never fetched
  for (const char* part : {"http:", "https:", "url(", "@import", "<link", "import("}) {
    EXPECT_THAT(page, Not(HasSubstr(part)));
  }
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
}

TEST(PngUrl, EncodesEveryLength) {  // RFC 4648, section 10
  const std::string start = "data:image/png;base64,";
  EXPECT_EQ(png_url(""), start);
  EXPECT_EQ(png_url("f"), start + "Zg==");
  EXPECT_EQ(png_url("fo"), start + "Zm8=");
  EXPECT_EQ(png_url("foo"), start + "Zm9v");
  EXPECT_EQ(png_url("foob\xff\xfe"), start + "Zm9vYv/+");
}

// Of 100 ranks over 100 epochs: 25 rows of four, and 34 columns of three; a run on one rank shows nothing.
RunReport run_on_many_ranks() {
  RunReport result = run("many");
  result.record.ranks = json::array();
  for (int epoch = 1; epoch <= 100; ++epoch) {
    for (int rank = 0; rank < 100; ++rank) {
      result.record.ranks.push_back(
          {{"epoch", epoch}, {"step", 20 * epoch}, {"rank", rank}, {"data_wait", rank == 70 ? 0.3 : 0.01}});
    }
  }
  return result;
}

// Screenshots go to REPORT_SCREENSHOTS if it is set.
TEST(ReportPage, ABrowserDrawsItAtDesktopAndPhoneWidthInLightAndDark) {
  const TempDir dir;
  RunReport empty = run("empty");
  empty.evaluation = nullptr;
  empty.note = "[report] there is no checkpoint yet";
  empty.record.steps = empty.record.epochs = json::array();
  empty.record.ranks = json::array();
  empty.record.check = nullptr;
  const std::string long_name(120, 'w');
  const char* const kept = std::getenv("REPORT_SCREENSHOTS");
  const Outcome outcome = run_program(
      {TRAINYARD_PYTHON, TRAINYARD_SOURCE_DIR "/tests/report/browser.py", kept != nullptr ? kept : dir / "screenshots",
       dir.write("one.html", report_page({run(hostile)}, "now")),
       dir.write("several.html", report_page({run("a"), run(long_name), empty}, "now")),
       dir.write("many_ranks.html", report_page({run_on_many_ranks()}, "now")),
       dir.write("regression.html", report_page({regression_run(long_name)}, "now")),
       dir.write("regressions.html", report_page({regression_run("a"), regression_run("b")}, "now"))});
  if (outcome.exit_code == 77) GTEST_SKIP() << "no Chromium here";
  EXPECT_EQ(outcome.exit_code, 0) << outcome.output;
  EXPECT_THAT(outcome.output, HasSubstr("one.html, desktop, light: 10 curves, 6 waits of ranks, 180/s"));
  EXPECT_THAT(outcome.output, HasSubstr("many_ranks.html, phone, dark: 10 curves, 850 waits of ranks"));
}

}  // namespace
}  // namespace trainyard
