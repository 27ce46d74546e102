#include "commands/prediction_writer.h"

#include <climits>
#include <span>

#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "images/encode_png.h"
#include "util/error.h"
#include "util/json_text.h"
#include "util/output.h"
#include "util/output_file.h"
#include "util/printable.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// JSON supports only UTF-8: any other name is shown as printable(), with its bytes in hexadecimal.
Json named(const std::string& key, const std::string& name) {
  if (is_utf8(name)) return {{key, name}};
  return {{key, printable(name, PATH_MAX)},
          {key + "_bytes", fmt::format("{:02x}", fmt::join(std::as_bytes(std::span(name)), ""))}};
}

void print_line(Json line, const Json& more) {
  line.update(more);
  write_output(json_text(line) + "\n");
}

}  // namespace

void PredictionWriter::answer_file(const std::string& name, const std::optional<Prediction>& prediction) {
  if (!prediction) {
    return refuse_file(name,
                       fmt::format("[predict] {}: the model gives numbers that are not finite: it has diverged, or the "
                                   "input is far from all that it was trained on",
                                   printable(name, PATH_MAX)));
  }
  Json json = prediction->json;
  std::string text = prediction->text;
  if (!prediction->image.pixels.empty()) {
    const std::string path = write_image(name, *prediction);
    json["output"] = printable(path, PATH_MAX);
    text += fmt::format("  {}\n", printable(path, PATH_MAX));
  }
  if (format_ == PredictionFormat::json) return print_line(named("file", name), json);
  print("{}\n{}", printable(name, PATH_MAX), text);
}

void PredictionWriter::answer_prompt(const std::string& prompt, const Prediction& prediction) const {
  if (format_ == PredictionFormat::json) return print_line(named("prompt", prompt), prediction.json);
  print("{}\n", printable_lines(prediction.text));
}

void PredictionWriter::refuse(const std::string& kind, const std::string& input, const std::string& error) {
  ++refused_;
  print_error(error);
  if (format_ == PredictionFormat::text) return;
  print_line(named(kind, input), {{"error", printable(error, std::size_t{2} * PATH_MAX)}});
}

// Named after the input; if names repeat, the second gets the suffix -2, and so on.
std::string PredictionWriter::write_image(const std::string& file, const Prediction& prediction) {
  std::error_code error;
  fs::create_directories(folder_, error);
  if (error) throw RunError("predict", "{} cannot be made: {}", folder_.string(), error.message());
  const std::string stem = fs::path(file).stem().string();
  const int number = ++written_[stem];
  const fs::path path = folder_ / fmt::format("{}{}.png", stem, number == 1 ? "" : fmt::format("-{}", number));
  write_output_file(
      path,
      prediction.palette.empty() ? encode_png(prediction.image) : encode_png(prediction.image, prediction.palette),
      "predict");
  return path.string();
}

}  // namespace trainyard
