/// Predicts image files, for `trainyard predict`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "commands/named_image_reader.h"
#include "commands/prediction_writer.h"
#include "commands/predictor.h"

namespace trainyard {

/// Predicts in batches; answers are written in the order of the images.
class ImagePredictor {
 public:
  /// `reader` returns images of `shape`: height, width, channels. The references must outlive it.
  ImagePredictor(const Predictor& predict, NamedImageReader& reader, std::vector<std::int64_t> shape,
                 PredictionWriter& writer)
      : predict_(predict), reader_(reader), shape_(std::move(shape)), writer_(writer) {}

  /// Adds an image file, or the images in a folder and below.
  void add(const std::string& path);
  /// Writes the answers for all images added so far. Throws what the writer throws.
  void finish();

 private:
  void add_file(const std::string& file);
  void report_in_turn(const std::string& path, const std::string& error);
  void predict_batch(const ImageBatch& batch);

  const Predictor& predict_;
  NamedImageReader& reader_;
  std::vector<std::int64_t> shape_;
  PredictionWriter& writer_;
};

}  // namespace trainyard
