// Compares the pixels of every transform with those of torchvision's functions, for the same files and parameters, and
// the distributions of drawn parameters with torchvision's. The random numbers differ from torchvision's, so its
// functions get the parameters that our transforms have drawn. torchvision is part of build/bin/parity-python, which
// `make test` installs.

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "images/decode_image.h"
#include "support/image_files.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "transforms/color_jitter.h"
#include "transforms/lazy_image.h"
#include "util/system.h"

namespace trainyard {
namespace {

using nlohmann::json;

struct File {
  std::string path;
  std::size_t channels;
  ImageSize size;
  bool is_mask = false;
};

// A gradient with noise, so that each value has both close and distant neighbours.
Image test_image(ImageSize size, std::size_t channels, unsigned darkest = 0, unsigned levels = 256) {
  Image image = ramp(size.height, size.width, channels);
  RandomStream random(size.height * size.width * channels);
  for (std::byte& value : image.pixels) {
    const auto mixed = (3 * std::to_integer<unsigned>(value) + static_cast<unsigned>(random.below(256))) / 4;
    value = static_cast<std::byte>(darkest + mixed * levels / 256);
  }
  return image;
}

std::vector<File> files_in(const TempDir& dir) {
  std::vector<File> files;
  const auto add = [&](const std::string& name, std::size_t channels, ImageSize size, const std::string& bytes) {
    files.push_back({dir.write(name, bytes), channels, size});
  };
  for (const ImageSize size : {ImageSize{1, 1}, {3, 2}, {17, 16}, {75, 107}, {121, 40}}) {
    const std::string name = fmt::format("{}x{}", size.width, size.height);
    add(name + ".png", 3, size, png_file(test_image(size, 3)));
    add(name + "-grey.png", 1, size, png_file(test_image(size, 1), {.color_type = 0}));
    add(name + "-420.jpg", 3, size, jpeg_file(test_image(size, 3), 90, false, 2, 2));
  }
  const ImageSize size{47, 33};
  add("rgb.png", 3, size, png_file(test_image(size, 3)));
  add("pale.png", 3, size, png_file(test_image(size, 3, 90, 100), {.interlaced = true}));
  add("grey.png", 1, size, png_file(test_image(size, 1, 30, 150), {.color_type = 0}));
  add("rgb-to-grey.png", 1, size, png_file(test_image(size, 3)));
  add("grey-to-rgb.png", 3, size, png_file(test_image(size, 1), {.color_type = 0}));
  add("palette.png", 3, size, png_file(test_image(size, 1), {.color_type = 3}));
  add("422-progressive.jpg", 3, size, jpeg_file(test_image(size, 3), 75, true, 2, 1));
  add("444.jpg", 3, size, jpeg_file(test_image(size, 3), 95));
  add("grey.jpg", 1, size, jpeg_file(test_image(size, 1), 85));
  return files;
}

// Masks of noise, so that a pixel taken from a wrong position is detected.
std::vector<File> masks_in(const TempDir& dir) {
  std::vector<File> files;
  for (const ImageSize size : {ImageSize{1, 1}, {3, 2}, {17, 16}, {75, 107}, {121, 40}, {33, 47}}) {
    Image mask{size.height, size.width, 1, std::vector<std::byte>(size.height * size.width)};
    RandomStream random(size.height);
    for (std::byte& value : mask.pixels) value = static_cast<std::byte>(random.below(256));
    const std::string path =
        dir.write(fmt::format("mask-{}x{}.png", size.width, size.height), png_file(mask, {.color_type = 0}));
    files.push_back({path, 1, size, /*is_mask=*/true});
  }
  return files;
}

std::unique_ptr<Transform> make_transform(const std::string& spec) {
  TransformArguments arguments = parse_transform(spec);
  auto transform = TransformRegistry::make(arguments.transform(), arguments);
  arguments.refuse_unknown();
  return transform;
}

Image applied(Transform& transform, const File& file, RandomStream random) {
  const Mapping mapping = Mapping::read_only_file(file.path, "test");
  const auto reader = (file.is_mask ? ImageReader::open_mask : ImageReader::open)(mapping.bytes(), file.path, {});
  LazyImage::Memory memory;
  LazyImage image(*reader, {.channels = file.channels, .nearest = file.is_mask}, memory);
  if (const auto frame = transform.frame(image.size(), random)) {
    image.frame(*frame);
  } else if (file.is_mask) {
    transform.apply_to_mask(image.pixels(), random);
  } else {
    transform.apply(image.pixels(), random);
  }
  const ImageView pixels = image.pixels();
  return {pixels.height, pixels.width, pixels.channels, {pixels.bytes().begin(), pixels.bytes().end()}};
}

// Returns the rectangle that random_erasing paints black, found by applying it to white; of size 0 if it paints none.
Rect erased(Transform& transform, ImageSize size, RandomStream random) {
  std::vector<std::byte> pixels(size.height * size.width, std::byte{255});
  transform.apply({pixels.data(), size.height, size.width, 1}, random);
  const auto begin = std::find(pixels.begin(), pixels.end(), std::byte{0});
  if (begin == pixels.end()) return {};
  const auto last = std::find(pixels.rbegin(), pixels.rend(), std::byte{0}).base() - pixels.begin() - 1;
  const auto first = begin - pixels.begin();
  const auto width = static_cast<std::ptrdiff_t>(size.width);
  return {first / width, first % width, static_cast<std::size_t>(last / width - first / width + 1),
          static_cast<std::size_t>(last % width - first % width + 1)};
}

// A call of a function of torchvision.transforms.v2.functional.
json call(const std::string& function, json arguments) { return json::array({function, std::move(arguments)}); }

json box(const Rect& rect) {
  return {{"top", rect.top}, {"left", rect.left}, {"height", rect.height}, {"width", rect.width}};
}

json colour_calls(const ColorJitter& jitter, RandomStream random) {
  constexpr std::array<const char*, 4> names{"brightness", "contrast", "saturation", "hue"};
  json calls = json::array();
  for (const auto& [kind, value] : jitter.draw(random)) {
    const std::string name = names.at(static_cast<std::size_t>(kind));
    if (name == "hue" && value == 0) continue;  // color_jitter(hue=0)
    calls.push_back(call("adjust_" + name, {{name + "_factor", value}}));
  }
  return calls;
}

// An image of ours, and the calls of torchvision that give the same one.
struct Case {
  std::string spec;
  File file;
  json calls;
  Image ours;
};

// Adds the results of `spec` for each file, with the calls that `calls_for` returns for (transform, file, the random
// stream passed to it).
template <typename CallsFor>
void add_cases(std::vector<Case>& cases, const std::vector<File>& files, const std::string& spec, std::uint64_t draws,
               CallsFor calls_for) {
  const auto transform = make_transform(spec);
  for (const File& file : files) {
    for (std::uint64_t draw = 0; draw < draws; ++draw) {
      const RandomStream random(key_of({cases.size(), draw}));
      cases.push_back({spec, file, calls_for(*transform, file, random), applied(*transform, file, random)});
    }
  }
}

// Geometric transforms are applied to `spatial`, which includes masks.
std::vector<Case> all_cases(const std::vector<File>& files, const std::vector<File>& spatial) {
  std::vector<Case> cases;
  for (const int size : {1, 16, 41, 120}) {
    add_cases(cases, spatial, fmt::format("center_crop(size={})", size), 1, [&](Transform&, const File&, RandomStream) {
      return json::array({call("center_crop", {{"output_size", {size, size}}})});
    });
  }
  for (const int padding : {0, 3}) {
    const int size = padding == 0 ? 0 : 7;  // the smallest image with its padding
    add_cases(cases, spatial, fmt::format("random_crop(size={}, padding={})", size, padding), 4,
              [&](Transform& transform, const File& file, RandomStream random) {
                const Rect cut = transform.frame(file.size, random)->region;
                json crop = box(cut);
                crop["top"] = cut.top + padding;
                crop["left"] = cut.left + padding;
                return json::array({call("pad", {{"padding", padding}}), call("crop", crop)});
              });
  }
  for (const char* filter : {"bilinear", "bicubic"}) {
    const auto resize_to = [&](const json& size) {
      return [=](Transform&, const File&, RandomStream) {
        return json::array({call("resize", {{"size", size}, {"interpolation", filter}})});
      };
    };
    for (const int size : {1, 16, 50}) {
      add_cases(cases, spatial, fmt::format("resize(size={}, interpolation={})", size, filter), 1,
                resize_to(json::array({size})));
    }
    add_cases(cases, spatial, fmt::format("resize(height=23, width=61, interpolation={})", filter), 1,
              resize_to(json::array({23, 61})));
    add_cases(cases, spatial, fmt::format("random_resized_crop(size=33, interpolation={})", filter), 4,
              [&](Transform& transform, const File& file, RandomStream random) {
                const Rect cut = transform.frame(file.size, random)->region;
                json crop = box(cut);
                crop["size"] = {33, 33};
                crop["interpolation"] = filter;
                return json::array({call("resized_crop", crop)});
              });
  }
  for (const char* direction : {"horizontal", "vertical"}) {
    add_cases(cases, spatial, fmt::format("random_{}_flip(p=1)", direction), 1,
              [&](Transform&, const File&, RandomStream) {
                return json::array({call(fmt::format("{}_flip", direction), json::object())});
              });
  }
  for (const char* arguments : {"", "(hue=0.1)", "(brightness=2, contrast=3, saturation=5, hue=0.5)"}) {
    add_cases(cases, files, fmt::format("color_jitter{}", arguments), 4,
              [](Transform& transform, const File&, RandomStream random) {
                return colour_calls(dynamic_cast<const ColorJitter&>(transform), random);
              });
  }
  for (const int value : {0, 117}) {
    const auto on_white = make_transform("random_erasing(p=1)");
    add_cases(cases, files, fmt::format("random_erasing(p=1, value={})", value), 3,
              [&](Transform&, const File& file, RandomStream random) {
                const Rect cut = erased(*on_white, file.size, random);
                return json::array({call(
                    "erase", {{"i", cut.top}, {"j", cut.left}, {"h", cut.height}, {"w", cut.width}, {"v", value}})});
              });
  }
  return cases;
}

std::vector<std::byte> read_bytes(const std::string& path) {
  const Mapping file = Mapping::read_only_file(path, "test");
  return {file.bytes().begin(), file.bytes().end()};
}

int largest_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
  int largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(std::to_integer<int>(a[i]) - std::to_integer<int>(b[i])));
  }
  return largest;
}

void compare(const Case& one, const std::vector<std::byte>& theirs) {
  SCOPED_TRACE(fmt::format("{} of {}: {}", one.spec, one.file.path, one.calls.dump()));
  ASSERT_EQ(one.ours.pixels.size(), theirs.size());
  EXPECT_EQ(largest_difference(one.ours.pixels, theirs), 0);
}

// rand_augment at one magnitude. The operation drawn is recognized by the resulting image.
struct Augmentation {
  File file;
  int magnitude;
};

std::vector<Augmentation> all_augmentations(const std::vector<File>& files) {
  std::vector<Augmentation> all;
  for (const File& file : files) {
    if (file.size.height > 50 || !file.path.ends_with(".png")) continue;
    const int step = file.size.height == 17 ? 1 : 9;
    for (int magnitude = 0; magnitude <= 30; magnitude += step) all.push_back({file, magnitude});
  }
  return all;
}

constexpr std::size_t augmentations = 28;  // 14 operations with both signs

// The largest difference allowed between our values and torchvision's. torchvision takes the factors of brightness,
// colour, contrast and sharpness from torch.linspace in float32, whose last bit depends on the processor, and truncates
// the results.
int allowed_difference(std::size_t augmentation) {
  const std::size_t operation = augmentation / 2;
  return operation >= 6 && operation <= 9 ? 1 : 0;
}

// `theirs` holds an image for each augmentation. Each of our images must equal one of them, and each of them must occur
// about as often as torchvision draws it.
void compare(const Augmentation& one, const std::vector<std::byte>& theirs) {
  SCOPED_TRACE(fmt::format("rand_augment(num_ops=1, magnitude={}) of {}", one.magnitude, one.file.path));
  const std::size_t bytes = one.file.size.height * one.file.size.width * one.file.channels;
  ASSERT_EQ(theirs.size(), augmentations * bytes);
  const auto is = [&](std::span<const std::byte> image, std::size_t augmentation) {
    return largest_difference(image, std::span(theirs).subspan(augmentation * bytes, bytes)) <=
           allowed_difference(augmentation);
  };
  constexpr int draws = 400;
  std::map<std::vector<std::byte>, int> ours;  // with their counts
  const auto transform = make_transform(fmt::format("rand_augment(num_ops=1, magnitude={})", one.magnitude));
  for (std::uint64_t draw = 0; draw < draws; ++draw) ++ours[applied(*transform, one.file, RandomStream(draw)).pixels];
  std::array<int, augmentations> drawn{};
  for (const auto& [image, count] : ours) {
    bool known = false;
    for (std::size_t i = 0; i < augmentations; ++i) {
      if (!is(image, i)) continue;
      known = true;
      drawn.at(i) += count;
    }
    EXPECT_TRUE(known) << "torchvision makes no such image";
  }
  for (std::size_t i = 0; i < augmentations; ++i) {
    int alike = 0;
    for (std::size_t j = 0; j < augmentations; ++j) alike += is(std::span(theirs).subspan(j * bytes, bytes), i);
    const double expected = static_cast<double>(draws) * alike / augmentations;
    EXPECT_GT(drawn.at(i), 0) << "operation " << i / 2;
    // At a low magnitude or in a small image, a result that is off by one may equal only some of several like images.
    if (one.magnitude < 9 || bytes < 500) continue;
    EXPECT_NEAR(drawn.at(i), expected, 4 * std::sqrt(expected)) << "operation " << i / 2;
  }
}

// The parameters drawn by a transform, and the request for get_params of torchvision's class.
struct Draws {
  json request;
  std::function<std::vector<double>(RandomStream)> ours;
};

std::vector<double> numbers(const Rect& rect) {
  return {static_cast<double>(rect.top), static_cast<double>(rect.left), static_cast<double>(rect.height),
          static_cast<double>(rect.width)};
}

std::vector<Draws> all_draws() {
  const auto region = [](const std::string& spec, ImageSize size, std::ptrdiff_t padding = 0) {
    return [=, transform = std::shared_ptr(make_transform(spec))](RandomStream random) {
      Rect cut = transform->frame(size, random)->region;
      cut.top += padding;
      cut.left += padding;
      return numbers(cut);
    };
  };
  const json shapes = {3.0 / 4, 4.0 / 3};
  return {
      {{{"class", "RandomCrop"}, {"size", {26, 37}}, {"arguments", {{"output_size", {17, 17}}}}},
       region("random_crop(size=17, padding=3)", {20, 31}, 3)},
      {{{"class", "RandomResizedCrop"}, {"size", {120, 90}}, {"arguments", {{"scale", {0.08, 1}}, {"ratio", shapes}}}},
       region("random_resized_crop", {120, 90})},
      {{{"class", "RandomResizedCrop"}, {"size", {20, 120}}, {"arguments", {{"scale", {0.1, 0.9}}, {"ratio", shapes}}}},
       region("random_resized_crop(scale_min=0.1, scale_max=0.9)", {20, 120})},
      {{{"class", "RandomErasing"},
        {"size", {60, 45}},
        {"arguments", {{"scale", {0.02, 0.33}}, {"ratio", {0.3, 3.3}}, {"value", {0}}}}},
       [transform = std::shared_ptr(make_transform("random_erasing(p=1)"))](RandomStream random) {
         return numbers(erased(*transform, {60, 45}, random));
       }},
      {{{"class", "ColorJitter"},
        {"arguments",
         {{"brightness", {0.6, 1.4}}, {"contrast", {0, 3}}, {"saturation", {0.5, 1.5}}, {"hue", {-0.1, 0.1}}}}},
       [](RandomStream random) {
         std::vector<double> order_and_values(8);
         for (std::size_t i = 0; const auto& [kind, value] : ColorJitter(0.4, 2, 0.5, 0.1).draw(random)) {
           order_and_values.at(i++) = static_cast<double>(kind);
           order_and_values.at(4 + static_cast<std::size_t>(kind)) = value;
         }
         return order_and_values;
       }}};
}

// The Kolmogorov-Smirnov statistic: the largest distance between the distribution functions of two samples.
double distance(std::vector<double> a, std::vector<double> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const auto share = [](const std::vector<double>& sample, double value) {
    return static_cast<double>(std::upper_bound(sample.begin(), sample.end(), value) - sample.begin()) /
           static_cast<double>(sample.size());
  };
  double largest = 0;
  for (const auto* values : {&a, &b}) {
    for (const double value : *values) largest = std::max(largest, std::abs(share(a, value) - share(b, value)));
  }
  return largest;
}

void compare(const Draws& one, const json& theirs) {
  std::vector<std::vector<double>> ours;
  for (std::uint64_t draw = 0; draw < 20'000; ++draw) ours.push_back(one.ours(RandomStream(draw)));
  const auto column = [](const auto& rows, std::size_t number) {
    std::vector<double> values;
    for (const auto& row : rows) values.push_back(row.at(number));
    return values;
  };
  for (std::size_t i = 0; i < ours.front().size(); ++i) {
    // Two samples of these sizes from one distribution exceed this bound with probability 1 in 30,000. The seeds are
    // fixed.
    EXPECT_LT(distance(column(ours, i), column(theirs, i)), 0.055) << one.request << ", parameter " << i;
  }
}

// A single test, because importing torchvision takes seconds.
TEST(Torchvision, GivesTheSamePixelsAndDrawsAsOften) {
  const std::string python = TRAINYARD_SOURCE_DIR "/build/bin/parity-python";
  if (!std::filesystem::exists(python)) {
    GTEST_SKIP() << python << " is missing: `scripts/bootstrap parity` installs it, with torchvision";
  }
  const TempDir dir;
  const std::vector<File> files = files_in(dir);
  std::vector<File> spatial = files;
  for (const File& mask : masks_in(dir)) spatial.push_back(mask);
  const std::vector<Case> calls = all_cases(files, spatial);
  const std::vector<Augmentation> augment = all_augmentations(files);
  const std::vector<Draws> parameters = all_draws();
  json requests;
  for (const Case& one : calls) {
    requests["calls"].push_back(
        {{"file", one.file.path}, {"channels", one.file.channels}, {"mask", one.file.is_mask}, {"calls", one.calls}});
  }
  for (const Augmentation& one : augment) {
    requests["augment"].push_back(
        {{"file", one.file.path}, {"channels", one.file.channels}, {"magnitude", one.magnitude}});
  }
  for (const Draws& one : parameters) requests["parameters"].push_back(one.request);
  dir.write("requests.json", requests.dump());
  const Outcome asked =
      run_program({python, TRAINYARD_SOURCE_DIR "/tests/transforms/torchvision_calls.py", dir.path()});
  if (asked.exit_code == 77) GTEST_SKIP() << python << " has no torchvision that works: " << asked.output;
  ASSERT_EQ(asked.exit_code, 0) << asked.output;

  for (std::size_t i = 0; i < calls.size(); ++i) compare(calls[i], read_bytes(dir / fmt::format("calls.{}.raw", i)));
  for (std::size_t i = 0; i < augment.size(); ++i) {
    compare(augment[i], read_bytes(dir / fmt::format("augment.{}.raw", i)));
  }
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    compare(parameters[i], json::parse(read_text_file(dir / fmt::format("parameters.{}.json", i), "test")));
  }
}

}  // namespace
}  // namespace trainyard
