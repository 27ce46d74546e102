// Compares the pixels of every format and operation with Pillow's. Pillow is part of build/bin/parity-python, which
// `make test` installs.

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "images/adjust.h"
#include "images/decode_image.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "transforms/pipeline.h"
#include "util/system.h"

namespace trainyard {
namespace {

struct Case {
  std::string name;
  std::string file;
  std::size_t channels;
  std::string operation;
  std::string expected;
  ImageSize size;
};

std::vector<Case> cases_in(const std::string& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::vector<std::string> words;
    for (std::string word; std::getline(fields, word, '\t');) words.push_back(word);
    cases.push_back({words.at(0),
                     words.at(1),
                     std::stoul(words.at(2)),
                     words.at(3),
                     words.at(4),
                     {std::stoul(words.at(5)), std::stoul(words.at(6))}});
  }
  return cases;
}

Image adjusted(Image image, const std::string& function, double value) {
  const ImageView view{image.pixels.data(), image.height, image.width, image.channels};
  Scratch scratch;
  const auto factor = static_cast<float>(value);
  const std::map<std::string, std::function<void()>> functions = {
      {"brightness", [&] { adjust_brightness(view, factor); }},
      {"contrast", [&] { adjust_contrast(view, factor); }},
      {"saturation", [&] { adjust_saturation(view, factor); }},
      {"sharpness", [&] { adjust_sharpness(view, factor); }},
      {"hue", [&] { adjust_hue(view, value); }},
      {"posterize", [&] { posterize(view, static_cast<int>(value)); }},
      {"solarize", [&] { solarize(view, static_cast<int>(value)); }},
      {"autocontrast", [&] { autocontrast(view); }},
      {"equalize", [&] { equalize(view); }},
      {"rotate", [&] { transform_affine(view, rotation(view.size(), value), scratch); }},
      {"shear_x", [&] { transform_affine(view, {1, value, 0, 0, 1, 0}, scratch); }},
      {"shear_y", [&] { transform_affine(view, {1, 0, 0, value, 1, 0}, scratch); }}};
  functions.at(function)();
  return image;
}

Image result_of(const Case& one) {
  const Mapping file = Mapping::read_only_file(one.file, "test");
  const bool upright = one.operation != "as stored";
  Image image = decode_image(file.bytes(), one.channels, one.file, {.upright = upright});
  if (one.operation.empty() || !upright) return image;
  if (const std::size_t blank = one.operation.find(' '); one.operation.find('(') == std::string::npos) {
    return adjusted(std::move(image), one.operation.substr(0, blank), std::atof(one.operation.c_str() + blank));
  }
  std::vector<std::string> specs;
  std::istringstream text(one.operation);
  for (std::string spec; std::getline(text, spec, ';');) specs.push_back(spec);
  const Field field{.name = "image",
                    .shape = {static_cast<std::int64_t>(image.height), static_cast<std::int64_t>(image.width),
                              static_cast<std::int64_t>(image.channels)}};
  return TransformPipeline(specs, {field}).apply(image, 0, 0, 0);
}

TEST(Pillow, HasTheSamePixels) {
  const std::string python = TRAINYARD_SOURCE_DIR "/build/bin/parity-python";
  if (!std::filesystem::exists(python)) {
    GTEST_SKIP() << python << " is missing: `scripts/bootstrap parity` installs it, with Pillow";
  }
  const TempDir dir;
  const Outcome made = run_program({python, TRAINYARD_SOURCE_DIR "/tests/images/pillow.py", dir.path()});
  ASSERT_EQ(made.exit_code, 0) << made.output;
  const std::vector<Case> cases = cases_in(dir / "cases.txt");
  ASSERT_GT(cases.size(), 300u);

  std::map<std::string, std::pair<std::size_t, std::size_t>> off;  // operation → values that differ by one, all values
  for (const Case& one : cases) {
    const Image image = result_of(one);
    ASSERT_EQ((ImageSize{image.height, image.width}), one.size) << one.name << " " << one.operation;
    const Mapping expected = Mapping::read_only_file(one.expected, "test");
    ASSERT_EQ(image.pixels.size(), expected.bytes().size()) << one.name << " " << one.operation;
    auto& [differ, values] = off[one.operation.empty() ? "decode" : one.name];
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
      const int difference = std::to_integer<int>(image.pixels[i]) - std::to_integer<int>(expected.bytes()[i]);
      ASSERT_LE(std::abs(difference), 1) << one.name << " " << one.operation << ", value " << i;
      differ += difference != 0;
    }
    values += image.pixels.size();
  }
  for (const auto& [name, counts] : off) {
    RecordProperty(name, fmt::format("{} of {} values off by one", counts.first, counts.second));
    EXPECT_LE(counts.first * 1000, counts.second) << name << ": more than a value in a thousand is off by one";
  }
}

}  // namespace
}  // namespace trainyard
