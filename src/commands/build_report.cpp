#include "commands/build_report.h"

#include <algorithm>
#include <chrono>

#include <fmt/chrono.h>

#include "checkpoint/checkpoint_folder.h"
#include "images/encode_png.h"
#include "report/thumbnail.h"
#include "util/log.h"
#include "util/output_file.h"
#include "util/torch_errors.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t image_side = 160;

void add_images(nlohmann::json& worst, const std::vector<ShownSample>& shown) {
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (shown[i].image.pixels.empty()) continue;
    const Image& image = shown[i].image;  // may be several side by side
    const std::size_t longer = std::max(image.height, image.width);
    const std::size_t side = image_side * longer / std::min(image.height, image.width);
    worst[i]["image"] = png_url(encode_png(thumbnail(image, side)));
  }
}

}  // namespace

std::optional<fs::path> checkpoint_to_report(const fs::path& run) {
  const fs::path checkpoints = run / "checkpoints";
  if (const auto best = linked(checkpoints, "best")) return fs::canonical(*best);
  std::optional<fs::path> last = linked(checkpoints, "last");
  if (!last) last = newest(checkpoints);
  if (!last) return std::nullopt;
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(checkpoints / "best", ignored))) {
    log_warning("[report] {} leads to no checkpoint; {} is shown instead", (checkpoints / "best").string(),
                last->filename().string());
  }
  return fs::canonical(*last);
}

RunReport build_report(const fs::path& run, const std::function<CheckpointEvaluation()>& evaluate) {
  RunReport result{.record = read_run(run), .evaluation = nullptr, .note = ""};
  for (const std::string& warning : result.record.warnings) log_warning(warning);
  try {
    const CheckpointEvaluation evaluated = evaluate();
    result.evaluation = to_json(evaluated);
    result.evaluation["checkpoint"] = evaluated.checkpoint.filename().string();
    result.evaluation["evaluated_on"] = samples_text(evaluated.scores);
    result.evaluation["worst_images"] = evaluated.findings.worst_images;
    add_images(result.evaluation["worst"], evaluated.findings.worst);
  } catch (const std::exception& error) {
    result.evaluation = nullptr;
    result.note = message_of(error);
  }
  return result;
}

void write_report(const fs::path& path, const std::vector<RunReport>& runs) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  const std::string page = report_page(runs, fmt::format("{:%Y-%m-%d %H:%M} UTC", fmt::gmtime(now)));
  write_output_file(path, page, "report");
}

}  // namespace trainyard
