/// Writes small datasets for the tests of the tasks.
#pragma once

#include <cstdint>
#include <string>

#include <fmt/format.h>

#include "images/encode_png.h"
#include "support/temp_dir.h"
#include "util/random.h"

namespace trainyard {

/// Writes `count` scenes for image_masks to `folder`: 16 × 16 grey images of the classes ground, box and line, each
/// with a box at a random place, a line, and a corner without a class.
inline void write_scenes(const TempDir& dir, const std::string& folder, int count) {
  constexpr std::size_t side = 16;
  for (int i = 0; i < count; ++i) {
    RandomStream random(key_of({key_of("scene"), static_cast<std::uint64_t>(i)}));
    Image image{side, side, 1, std::vector<std::byte>(side * side)};
    Image mask = image;
    const std::size_t top = random.below(10);
    const std::size_t left = random.below(10);
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const bool box = y >= top && y < top + 6 && x >= left && x < left + 6;
        const std::size_t label = x + y < 3 ? 255 : box ? 1 : y == 12 ? 2 : 0;
        mask.pixels[y * side + x] = static_cast<std::byte>(label);
        image.pixels[y * side + x] = static_cast<std::byte>((label % 3) * 80 + random.below(60));
      }
    }
    const std::string name = fmt::format("{:02}.png", i);
    dir.write(folder + "/train/images/" + name, encode_png(image));
    dir.write(folder + "/train/masks/" + name, encode_png(mask));
  }
  dir.write(folder + "/classes.txt", "ground\nbox\nline\n");
}

/// Writes `count` images for image_labels to `folder`: 16 × 16 grey images with the labels box and line. Each image has
/// a box at a random place, a line, both or neither, all little brighter than the noise.
inline void write_labelled_images(const TempDir& dir, const std::string& folder, int count) {
  constexpr std::size_t side = 16;
  std::string csv = "file,box,line\n";
  for (int i = 0; i < count; ++i) {
    RandomStream random(key_of({key_of("labelled"), static_cast<std::uint64_t>(i)}));
    Image image{side, side, 1, std::vector<std::byte>(side * side)};
    const bool box = random.below(2) == 0;
    const bool line = random.below(3) == 0;
    const std::size_t top = random.below(6);
    const std::size_t left = random.below(10);
    for (std::size_t y = 0; y < side; ++y) {
      for (std::size_t x = 0; x < side; ++x) {
        const bool bright = (box && y >= top && y < top + 6 && x >= left && x < left + 6) || (line && y == 13);
        image.pixels[y * side + x] = static_cast<std::byte>((bright ? 30 : 0) + random.below(60));
      }
    }
    const std::string name = fmt::format("{:02}.png", i);
    dir.write(fmt::format("{}/train/{}", folder, name), encode_png(image));
    csv += fmt::format("{},{:d},{:d}\n", name, static_cast<int>(box), static_cast<int>(line));
  }
  dir.write(folder + "/train/labels.csv", csv);
}

/// Writes a text of about `bytes` bytes to `folder`. A word is a run of consecutive letters that ends in f, e.g.
/// "cdef".
inline void write_text(const TempDir& dir, const std::string& folder, int bytes) {
  std::string text;
  RandomStream random(key_of("text"));
  while (text.size() < static_cast<std::size_t>(bytes)) {
    for (std::uint64_t letter = random.below(4); letter < 6; ++letter) text += "abcdef"[letter];
    text += random.below(5) == 0 ? '\n' : ' ';
  }
  dir.write(folder + "/text.txt", text);
}

}  // namespace trainyard
