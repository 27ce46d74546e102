/// A dataset for tests of code that reads image files.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "datasets/stored_images.h"

namespace trainyard {

/// Image files in memory, as samples with the single field "image".
class ImagesInMemory final : public Dataset {
 public:
  explicit ImagesInMemory(std::vector<std::string> files, std::int64_t channels = 3)
      : files_(std::move(files)), fields_{{.name = "image", .shape = {1, 1, channels}, .is_stored_image = true}} {
    take_size_of_first_image(*this, fields_);
  }
  std::size_t size() const override { return files_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::string name(std::size_t index) const override { return fmt::format("image {}", index); }
  void read(std::size_t index, RandomStream, Sample& sample) const override {
    sample.store(0, {std::as_bytes(std::span(files_[index]))});
  }

 private:
  std::vector<std::string> files_;
  std::vector<Field> fields_;
};

}  // namespace trainyard
