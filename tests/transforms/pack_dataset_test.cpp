#include "transforms/pack_dataset.h"

#include <array>
#include <csignal>
#include <cstring>

#include <gmock/gmock.h>
#include <sys/stat.h>

#include "datasets/packed_file.h"
#include "datasets/stored_images.h"
#include "images/encode_jpeg.h"
#include "images/resample.h"
#include "support/checkable_pool.h"
#include "support/configured.h"
#include "support/error_of.h"
#include "support/image_files.h"
#include "support/memory_file.h"
#include "support/read_field.h"
#include "support/temp_dir.h"
#include "util/error.h"
#include "util/random.h"

namespace trainyard {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class PackDataset : public testing::Test {
 protected:
  PackDataset() { setenv("XDG_CACHE_HOME", (dir_ / "cache").c_str(), 1); }
  ~PackDataset() override { unsetenv("XDG_CACHE_HOME"); }

  static std::unique_ptr<Dataset> synthetic() { return make_dataset(synthetic_data("6,7,3", 20, 3), Split::train); }

  std::unique_ptr<Dataset> images() const {
    dir_.write("photos/train/cat/a.jpg", jpeg_file(ramp(20, 30, 3)));
    dir_.write("photos/train/cat/b.png", png_file(ramp(31, 22, 3)));
    dir_.write("photos/train/dog/c.jpg", jpeg_file(ramp(40, 40, 3)));
    DataConfig config;
    config.name = "image_folder";
    config.root = dir_ / "photos";
    return make_dataset(config, Split::train);
  }

  std::unique_ptr<Dataset> packed(const Dataset& dataset, const PackOptions& options = {}) const {
    pack_dataset(dataset, options, dir_ / "train.packed");
    DataConfig config;
    config.name = "packed";
    config.root = dir_.path();
    return make_dataset(config, Split::train);
  }

  static StoredImage stored(const Dataset& dataset, std::size_t index) {
    static Sample sample;
    read_sample(dataset, index, sample);
    return sample.stored(0);
  }

  std::string packed_bytes() const {
    pack_dataset(*synthetic(), {}, dir_ / "train.packed");
    return read_text_file(dir_ / "train.packed", "test");
  }

  TempDir dir_;
};

std::string bytes_of(const StoredImage& image) {
  return {reinterpret_cast<const char*>(image.bytes.data()), image.bytes.size()};
}

TEST_F(PackDataset, StopsOnRequestAndLeavesNothing) {
  StopRequests requests;
  requests.signal = SIGTERM;
  const auto stopped = [&] {
    pack_dataset(*synthetic(), {.workers = 1, .stop = StopToken(requests)}, dir_ / "packed/train.packed");
  };
  std::filesystem::create_directory(dir_ / "packed");
  EXPECT_THAT(error_of<RunError>(stopped), HasSubstr("stopped by signal 15 (Terminated) after 0 of 20 samples"));
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "packed"));
}

TEST_F(PackDataset, GivesBackSamplesAndLabels) {
  const auto original = synthetic();
  const auto copy = packed(*original);
  ASSERT_EQ(copy->size(), original->size());
  EXPECT_EQ(copy->fields(), original->fields());
  EXPECT_EQ(copy->class_names(), original->class_names());
  EXPECT_EQ(copy->channel_mean(), original->channel_mean());
  std::vector<std::byte> expected(original->fields()[0].bytes());
  std::vector<std::byte> found(original->fields()[0].bytes());
  for (std::size_t i = 0; i < copy->size(); ++i) {
    EXPECT_EQ(read_field(*copy, i, found), read_field(*original, i, expected));
    EXPECT_EQ(found, expected);
  }
}

TEST_F(PackDataset, KeepsFilesAsTheyAre) {
  const auto original = images();
  const auto copy = packed(*original);
  ASSERT_EQ(copy->size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(bytes_of(stored(*copy, i)), bytes_of(stored(*original, i)));
    EXPECT_FALSE(stored(*copy, i).pixels);
  }
}

TEST_F(PackDataset, PacksPixelsOfAnySizeOrOfOne) {
  const auto original = images();
  const auto any = packed(*original, {.as = PackAs::raw, .transforms = {"resize(size=10)"}, .quality = 90});
  EXPECT_EQ(stored(*any, 0).pixels, (ImageSize{10, 15}));
  EXPECT_EQ(stored(*any, 1).pixels, (ImageSize{14, 10}));
  EXPECT_EQ(bytes_of(stored(*any, 1)).size(), 14u * 10u * 3u);
  const Image expected = resize(ramp(31, 22, 3), {14, 10});
  EXPECT_EQ(std::memcmp(stored(*any, 1).bytes.data(), expected.pixels.data(), expected.pixels.size()), 0);

  const auto one =
      packed(*original, {.as = PackAs::raw, .transforms = {"resize(size=10)", "center_crop(size=10)"}, .quality = 90});
  EXPECT_EQ(one->fields()[0].shape, (Shape{10, 10, 3}));
}

TEST_F(PackDataset, EncodesAnew) {
  const auto copy = packed(*images(), {.as = PackAs::jpeg, .transforms = {"resize(size=16)"}, .quality = 80});
  const std::vector<std::byte> expected = encode_jpeg(resize(ramp(31, 22, 3), {22, 16}), 80);
  EXPECT_EQ(bytes_of(stored(*copy, 1)), std::string(reinterpret_cast<const char*>(expected.data()), expected.size()));
}

TEST_F(PackDataset, WritesTheSameFileWithAnyNumberOfWorkers) {
  const auto file = [&](const Dataset& dataset, PackOptions options, int workers) {
    options.workers = workers;
    pack_dataset(dataset, options, dir_ / "train.packed");
    return read_text_file(dir_ / "train.packed", "test");
  };
  for (const PackAs as : {PackAs::keep, PackAs::jpeg, PackAs::raw}) {
    const auto samples = synthetic();
    const auto photos = images();
    PackOptions options{.as = as};
    if (as != PackAs::keep) options.transforms = {"resize(size=12)", "random_horizontal_flip"};
    for (const int workers : {1, 2, 5}) {
      EXPECT_EQ(file(*samples, options, workers), file(*samples, options, 0));
      EXPECT_EQ(file(*photos, options, workers), file(*photos, options, 0));
    }
  }
}

TEST_F(PackDataset, NamesABrokenSampleWithWorkersToo) {
  const auto original = images();
  dir_.write("photos/train/dog/c.jpg", "broken");
  EXPECT_THAT(error_of<RunError>([&] { packed(*original, {.workers = 2}); }),
              AllOf(HasSubstr("sample 2"), HasSubstr("dog/c.jpg")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "train.packed"));
}

TEST_F(PackDataset, RefusesWhatDoesNotSuitTheSamples) {
  EXPECT_THAT(error_of<UsageError>([&] { packed(*images(), {.transforms = {"resize(size=16)"}}); }),
              HasSubstr("--as jpeg, or --as raw"));
  const auto original = images();
  dir_.write("photos/train/dog/c.jpg", "broken");
  EXPECT_THAT(error_of<RunError>([&] { packed(*original); }), AllOf(HasSubstr("sample 2"), HasSubstr("dog/c.jpg")));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "train.packed"));
}

TEST_F(PackDataset, TellsTheContentByItsFingerprint) {
  const std::uint64_t before = packed(*synthetic())->fingerprint();
  EXPECT_EQ(packed(*synthetic())->fingerprint(), before);
  EXPECT_NE(packed(*synthetic(), {.as = PackAs::raw, .transforms = {"random_horizontal_flip(p=1)"}})->fingerprint(),
            before);
}

TEST_F(PackDataset, NamesWhatIsCutOffOrDamaged) {
  const std::string whole = packed_bytes();
  const auto verify = [](const std::string& bytes) {
    PackedFile(memory_file(std::as_bytes(std::span(bytes))), "the/path").verify();
  };
  const auto error = [&](const std::string& bytes) { return error_of<RunError>([&] { verify(bytes); }); };
  EXPECT_NO_THROW(verify(whole));
  EXPECT_THAT(error(whole.substr(0, whole.size() - 1)), AllOf(HasSubstr("the/path"), HasSubstr("cut off")));
  EXPECT_THAT(error(whole.substr(0, 20)), HasSubstr("is not a packed file"));
  std::string damaged = whole;
  damaged[64 + 3] ^= 1;
  EXPECT_THAT(error(damaged), AllOf(HasSubstr("the field image of sample 0"), HasSubstr("is damaged")));
  damaged = whole;
  damaged[damaged.size() - 60] ^= 1;
  EXPECT_THAT(error(damaged), HasSubstr("damaged description"));
}

TEST_F(PackDataset, NamesTheRecordThatIsGoneWhileItIsRead) {
  const auto arrays = packed(*synthetic());
  std::vector<std::byte> out(arrays->fields()[0].bytes());
  EXPECT_EQ(read_field(*arrays, 19, out), read_field(*synthetic(), 19, out));
  std::filesystem::resize_file(dir_ / "train.packed", 1'000);
  EXPECT_NO_THROW(read_field(*arrays, 0, out));
  EXPECT_THAT(error_of<RunError>([&] { read_field(*arrays, 19, out); }),
              AllOf(HasSubstr("train.packed"), HasSubstr("the field image of sample 19 has been cut off")));

  const auto files = packed(*images());
  std::filesystem::resize_file(dir_ / "train.packed", 100);
  EXPECT_THAT(error_of<RunError>([&] { stored(*files, 2); }),
              HasSubstr("the field image of sample 2 has been cut off"));
}

/// A single sample with a label out of range.
class WrongLabel final : public Dataset {
 public:
  std::size_t size() const override { return 1; }
  const std::vector<Field>& fields() const override { return fields_; }
  void read(std::size_t /*index*/, RandomStream /*random*/, Sample& sample) const override {
    std::ranges::fill(sample.elements(0), std::byte{1});
    sample.set(1, std::int64_t{2});
  }
  const std::vector<std::string>& class_names() const override { return class_names_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::vector<float> channel_mean() const override { return {0}; }
  std::vector<float> channel_std() const override { return {1}; }
  std::string name(std::size_t /*index*/) const override { return "the sample"; }

 private:
  std::vector<Field> fields_{{.name = "image", .shape = {2, 2, 1}}, label_field(2)};
  std::vector<std::string> class_names_{"cat", "dog"};
};

TEST_F(PackDataset, NamesTheSampleWithAClassOutOfRange) {
  EXPECT_THAT(error_of<RunError>([&] { packed(WrongLabel()); }),
              AllOf(HasSubstr("sample 0 (the sample)"), HasSubstr("label has the value 2; allowed: 0 to 1")));
}

// Returns a file of version 1: image files, sample i of class i.
std::string version_1(const std::vector<std::string>& files) {
  std::string bytes(packed_magic, sizeof packed_magic);
  const auto add = [&](const void* data, std::size_t size) { bytes.append(static_cast<const char*>(data), size); };
  const auto crc = [](const std::string& text) { return crc32_of(std::as_bytes(std::span(text))); };
  std::vector<PackedRecord> records;
  for (const std::string& file : files) {
    bytes.resize((bytes.size() + 63) / 64 * 64);
    records.push_back({bytes.size(), file.size(), crc(file), static_cast<std::uint32_t>(records.size()), 0, 0});
    bytes += file;
  }
  bytes.resize((bytes.size() + 63) / 64 * 64);
  PackedTrailer trailer{.samples = records.size(), .index_offset = bytes.size()};
  add(records.data(), records.size() * sizeof(PackedRecord));
  const std::string index = bytes.substr(trailer.index_offset);
  const std::string description = R"({"kind": "files", "dtype": "uint8", "shape": [0, 0, 3],
      "class_names": ["a", "b", "c"], "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2]})";
  trailer.description_offset = bytes.size();
  trailer.description_size = description.size();
  bytes += description;
  trailer.index_crc32 = crc(index);
  trailer.description_crc32 = crc(description);
  trailer.version = 1;
  trailer.crc32 = crc32_of(std::as_bytes(std::span(&trailer, 1)).first(offsetof(PackedTrailer, crc32)));
  std::memcpy(trailer.magic, packed_magic, sizeof packed_magic);
  add(&trailer, sizeof trailer);
  return bytes;
}

// Files as version 1 wrote them: three images of one size, three of several sizes, and three files.
TEST_F(PackDataset, ReadsFilesOfVersion1) {
  DataConfig config;
  config.name = "packed";
  config.root = dir_.path();
  for (const char* name : {"fixed", "any", "files"}) {
    const std::string corpus = fmt::format(TRAINYARD_SOURCE_DIR "/tests/fuzz/corpus/packed/{}", name);
    const bool files = std::string_view(name) == "files";
    dir_.write("train.packed",
               files ? version_1({png_file(ramp(5, 4, 3)), jpeg_file(ramp(7, 6, 3)), png_file(ramp(2, 3, 3))})
                     : read_text_file(corpus, "test"));
    PackedFile(dir_ / "train.packed").verify();
    const auto dataset = make_dataset(config, Split::train);
    ASSERT_EQ(dataset->fields().size(), 2u) << name;
    EXPECT_EQ(dataset->fields()[0].name, "image");
    EXPECT_EQ(dataset->fields()[0].is_stored_image, std::string_view(name) != "fixed");
    EXPECT_EQ(dataset->fields()[1], label_field(dataset->class_names().size()));
    std::uint64_t counted = 0;
    for (const std::uint64_t count : dataset->class_counts()) counted += count;
    EXPECT_EQ(counted, dataset->size());
    for (std::size_t i = 0; i < dataset->size(); ++i) {
      const std::vector<FieldContent> sample = TransformPipeline().read_any_size(*dataset, i, 0, 0);
      EXPECT_FALSE(sample[0].bytes.empty());
      EXPECT_EQ(std::to_integer<std::uint64_t>(sample[1].bytes[0]), dataset->stratum(i));
    }
  }
}

// All kinds of fields: an image, a column, and two of varying length.
TEST_F(PackDataset, GivesBackAllFields) {
  const CheckableDataset original(20, nullptr);
  for (const int workers : {0, 2}) {
    const auto copy = packed(original, {.workers = workers});
    EXPECT_EQ(copy->fields(), original.fields());
    EXPECT_EQ(copy->channel_mean(), original.channel_mean());
    for (std::size_t i = 0; i < copy->size(); ++i) {
      Sample sample;
      read_sample(*copy, i, sample);
      for (std::size_t field = 0; field < copy->fields().size(); ++field) {
        const std::span<const std::byte> found = sample.place(field);
        EXPECT_EQ(std::vector(found.begin(), found.end()), CheckableDataset::expected(copy->fields()[field], i));
      }
    }
  }
}

/// Images of several sizes with masks.
class Masked final : public Dataset {
 public:
  Masked() {
    for (const std::size_t side : {8, 10, 12}) {
      files_.push_back({png_file(ramp(side, side + 2, 3)), png_file(ramp(side, side + 2, 1, 4), {.color_type = 3})});
    }
    take_size_of_first_image(*this, fields_);
  }
  std::size_t size() const override { return files_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return 0; }
  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    for (const std::size_t field : {0, 1}) sample.store(field, {std::as_bytes(std::span(files_[index].at(field)))});
  }

 private:
  std::vector<std::array<std::string, 2>> files_;
  std::vector<Field> fields_{{.name = "image", .shape = {1, 1, 3}, .is_stored_image = true},
                             {.name = "mask", .shape = {1, 1}, .is_stored_image = true, .values = ValueRange{4, 255}}};
};

TEST_F(PackDataset, KeepsEncodesAndDecodesMasks) {
  const Masked original;
  const auto contents = [](const Dataset& dataset, std::size_t i) {
    return TransformPipeline().read_any_size(dataset, i, 0, 0);
  };
  for (const PackAs as : {PackAs::keep, PackAs::jpeg, PackAs::raw}) {
    const auto copy = packed(original, {.as = as});
    ASSERT_EQ(copy->fields(), original.fields());
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(contents(*copy, i)[1].bytes, contents(original, i)[1].bytes) << "no mask changes";
      if (as == PackAs::jpeg) continue;
      EXPECT_EQ(contents(*copy, i)[0].bytes, contents(original, i)[0].bytes);
    }
  }
  const auto cropped = packed(original, {.as = PackAs::raw, .transforms = {"center_crop(size=20)"}});
  EXPECT_FALSE(cropped->fields()[1].is_stored_image) << "all have one size";
  EXPECT_EQ(contents(*cropped, 0)[1].bytes.front(), std::byte{255}) << "what is outside of a mask is ignored";
  EXPECT_EQ(contents(*cropped, 0)[0].bytes.front(), std::byte{0});
}

TEST_F(PackDataset, RefusesSamplesThatAreDrawnAnew) {
  dir_.write("text", std::string(500, 'x'));
  DataConfig config = configured("--data.name text --data.text.context 8").data;
  config.root = dir_ / "text";
  EXPECT_THAT(
      error_of<UsageError>([&] { packed(*make_dataset(config, Split::train)); }),
      HasSubstr("draws its samples (tokens (int32, 9)) anew in each epoch, so they cannot be packed: train on it"));
  EXPECT_EQ(packed(*make_dataset(config, Split::val))->size(), 7u);
}

TEST_F(PackDataset, NamesWhatIsWrongWithTheDescription) {
  const std::string whole = packed_bytes();
  const auto error = [&](const std::string& from, const std::string& to) {  // `from` and `to` have the same length
    std::string bytes = whole;
    bytes.replace(bytes.find(from), from.size(), to);
    PackedTrailer trailer{};
    std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof trailer, sizeof trailer);
    const auto all = std::as_bytes(std::span(bytes));
    trailer.description_crc32 = crc32_of(all.subspan(trailer.description_offset, trailer.description_size));
    trailer.crc32 = crc32_of(std::as_bytes(std::span(&trailer, 1)).first(offsetof(PackedTrailer, crc32)));
    std::memcpy(bytes.data() + bytes.size() - sizeof trailer, &trailer, sizeof trailer);
    return error_of<RunError>([&] { PackedFile(memory_file(all), "the/path"); });
  };
  EXPECT_THAT(error("\"elements\"", "\"elephant\""), AllOf(HasSubstr("the/path"), HasSubstr("another kind")));
  EXPECT_THAT(error("\"uint8\"", "\"uint4\""), HasSubstr("another kind or type"));
  EXPECT_THAT(error("\"std\":[0.25,0.25,0.25]", "\"std\":[0.25,0.25     ]"), HasSubstr("deviation of a channel"));
  EXPECT_THAT(error("\"std\":[0.25,", "\"std\":[0.00,"), HasSubstr("deviation of a channel"));
}

TEST_F(PackDataset, SaysWhatIsInThePlaceOfAPackedFile) {
  DataConfig config;
  config.name = "packed";
  config.root = dir_.path();
  EXPECT_THAT(error_of<UsageError>([&] { make_dataset(config, Split::train); }), HasSubstr("there is no file"));
  ASSERT_EQ(mkfifo((dir_ / "train.packed").c_str(), 0600), 0);
  EXPECT_THAT(error_of<RunError>([&] { make_dataset(config, Split::train); }),
              AllOf(HasSubstr("train.packed"), HasSubstr("a named pipe")));
}

// The checksums are corrected, so that the damage reaches the code behind them.
TEST_F(PackDataset, SurvivesAnyDamage) {
  const std::string whole = packed_bytes();
  RandomStream random(9);
  int refused = 0;
  for (int i = 0; i < 3'000; ++i) {
    std::string bytes = whole;
    PackedTrailer trailer{};
    std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof trailer, sizeof trailer);
    for (auto changes = 1 + random.below(4); changes > 0; --changes) {
      const std::size_t from = trailer.index_offset;
      bytes[from + random.below(bytes.size() - 12 - from)] = static_cast<char>(random.next());
    }
    std::memcpy(&trailer, bytes.data() + bytes.size() - sizeof trailer, sizeof trailer);
    const auto all = std::as_bytes(std::span(bytes));
    const auto part = [&](std::uint64_t at, std::uint64_t size) {
      return at <= all.size() && size <= all.size() - at ? all.subspan(at, size) : std::span<const std::byte>();
    };
    trailer.version = packed_version;
    trailer.index_crc32 = crc32_of(part(trailer.index_offset, trailer.samples * (sizeof(PackedRecord) + 8)));
    trailer.description_crc32 = crc32_of(part(trailer.description_offset, trailer.description_size));
    trailer.crc32 = crc32_of(std::as_bytes(std::span(&trailer, 1)).first(offsetof(PackedTrailer, crc32)));
    std::memcpy(bytes.data() + bytes.size() - sizeof trailer, &trailer, sizeof trailer);
    try {
      const PackedFile file(memory_file(all), "the/path");
      for (std::size_t sample = 0; sample < file.samples(); ++sample) {
        for (std::size_t field = 0; field < file.description().fields.size(); ++field) {
          if (file.description().fields[field].kind == PackedKind::column) continue;
          ASSERT_LE(file.record(sample, field).size, bytes.size());
        }
      }
    } catch (const RunError& error) {
      EXPECT_THAT(error.what(), HasSubstr("the/path"));
      ++refused;
    }
  }
  EXPECT_GT(refused, 1'000);
}

}  // namespace
}  // namespace trainyard
