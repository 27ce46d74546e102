#include "commands/image_predictor.h"

#include <climits>
#include <filesystem>
#include <optional>

#include <fmt/format.h>

#include "commands/image_names.h"
#include "util/output.h"

namespace trainyard {

void ImagePredictor::add(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) return add_file(path);
  const ImagesBelow images = images_below(path);
  for (const std::string& file : images.files) add_file(file);
  for (const auto& [part, error] : images.errors) report_in_turn(part, error);
  if (images.files.empty() && images.errors.empty()) {
    report_in_turn(path, fmt::format("[predict] {} holds no images, such as .jpg, .jpeg or .png files", path));
  }
}

void ImagePredictor::add_file(const std::string& file) {
  if (file.size() > PATH_MAX) {
    return report_in_turn(file, fmt::format("[predict] a name of {} bytes is too long: {}", file.size(), file));
  }
  while (reader_.is_full()) predict_batch(*reader_.take());
  reader_.add(file);
}

void ImagePredictor::finish() {
  reader_.flush();
  while (const std::optional<ImageBatch> batch = reader_.take()) predict_batch(*batch);
}

void ImagePredictor::report_in_turn(const std::string& path, const std::string& error) {
  finish();
  writer_.refuse_file(path, error);
  flush_output();
}

void ImagePredictor::predict_batch(const ImageBatch& batch) {
  std::vector<at::Tensor> pixels;
  for (const NamedImage& image : batch.images) {
    if (!image.error.empty()) continue;
    pixels.push_back(at::from_blob(const_cast<std::byte*>(image.pixels.data()), shape_, at::kByte));
  }
  Predictions predictions;
  if (!pixels.empty()) {
    predictions = predict_({.fields = {{.name = "image", .data = at::stack(pixels).to(predict_.device())}},
                            .number = 0,
                            .count = std::ssize(pixels)});
  }
  write_answers(batch.images, predictions, writer_);
  flush_output();
}

}  // namespace trainyard
