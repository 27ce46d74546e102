#include "commands/named_image_reader.h"

#include <algorithm>
#include <climits>
#include <cstring>

#include "datasets/read_file.h"
#include "transforms/pipeline.h"

namespace trainyard {
namespace {

// The files whose names are in shared memory.
class NamedFiles final : public Dataset {
 public:
  NamedFiles(const SharedNames& names, const NamedImageOptions& options)
      : options_(options.image),
        names_(names),
        fields_{{.name = "image", .shape = options.shape, .is_stored_image = true}} {}

  std::size_t size() const override { return names_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  ImageOptions decoding() const override { return options_; }
  std::uint64_t fingerprint() const override { return 0; }
  std::string name(std::size_t index) const override { return names_.name(index); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    sample.store(0, {read_whole_file(name(index), sample.scratch(0))});
  }

 private:
  ImageOptions options_;
  const SharedNames& names_;
  std::vector<Field> fields_;
};

// Transformed images of one size. An unreadable image does not fail the batch: its error is recorded.
class ReadableImages final : public Dataset {
 public:
  ReadableImages(const SharedNames& names, const NamedImageOptions& options)
      : names_(names),
        files_(names, options),
        fields_{{.name = "image", .shape = options.shape}},
        pipeline_(options.transforms, files_.fields()) {}

  std::size_t size() const override { return files_.size(); }
  const std::vector<Field>& fields() const override { return fields_; }
  std::uint64_t fingerprint() const override { return files_.fingerprint(); }

  void read(std::size_t index, RandomStream /*random*/, Sample& sample) const override {
    const std::span<std::byte> out = sample.elements(0);
    std::string error;
    try {
      const ImageSize wanted = image_size(fields_[0]);
      FieldContent read = std::move(pipeline_.read_any_size(files_, index, 0, 0)[0]);
      Image image{read.size.height, read.size.width, channels_of(fields_[0]), std::move(read.bytes)};
      if (ImageSize{image.height, image.width} != wanted) image = resize(image, wanted);
      std::copy(image.pixels.begin(), image.pixels.end(), out.begin());
    } catch (const std::exception& caught) {
      error = caught.what();
    }
    names_.set_error(index, error);
  }

 private:
  const SharedNames& names_;
  NamedFiles files_;
  std::vector<Field> fields_;
  TransformPipeline pipeline_;
};

PoolOptions usable(PoolOptions options) {
  options.on_worker_error = OnWorkerError::skip;
  options.cache = SampleCache::none;
  options.cache_name.clear();
  return options;
}

}  // namespace

struct SharedNames::Record {
  std::uint32_t name_size;
  std::uint32_t error_size;
  char name[PATH_MAX];
  char error[2 * PATH_MAX];
};

SharedNames::SharedNames(std::size_t rows, std::size_t per_row)
    : memory_(Mapping::anonymous(rows * per_row * sizeof(Record), "predict")) {}

std::span<SharedNames::Record> SharedNames::records() const {
  const std::span<std::byte> bytes = memory_.bytes();
  return {reinterpret_cast<Record*>(bytes.data()), bytes.size() / sizeof(Record)};
}

std::size_t SharedNames::size() const { return records().size(); }

void SharedNames::set_name(std::size_t place, std::string_view name) const {
  Record& record = records()[place];
  record.name_size = static_cast<std::uint32_t>(name.size());
  std::memcpy(record.name, name.data(), name.size());
}

std::string SharedNames::name(std::size_t place) const {
  const Record& record = records()[place];
  return {record.name, record.name_size};
}

void SharedNames::set_error(std::size_t place, std::string_view error) const {
  Record& record = records()[place];
  const std::string_view kept = error.substr(0, sizeof record.error);
  record.error_size = static_cast<std::uint32_t>(kept.size());
  std::memcpy(record.error, kept.data(), kept.size());
}

std::string SharedNames::error(std::size_t place) const {
  const Record& record = records()[place];
  return {record.error, record.error_size};
}

NamedImageReader::NamedImageReader(const PoolOptions& pool, const NamedImageOptions& images)
    : options_(usable(pool)),
      rows_(static_cast<std::size_t>(options_.prefetch) + 2 * static_cast<std::size_t>(options_.workers) + 1),
      names_(rows_, static_cast<std::size_t>(options_.batch_size)),
      pool_(options_, [&] {
        std::vector<LoadedSplit> splits(1);
        splits[0].dataset = std::make_unique<ReadableImages>(names_, images);
        return splits;
      }) {}

bool NamedImageReader::is_full() { return gathered_ == 0 && (handed_over_.size() == rows_ || !pool_.can_publish()); }

void NamedImageReader::add(std::string_view name) {
  names_.set_name(row_ * static_cast<std::size_t>(options_.batch_size) + gathered_, name);
  if (++gathered_ == static_cast<std::uint32_t>(options_.batch_size)) flush();
}

void NamedImageReader::flush() {
  if (gathered_ == 0) return;
  pool_.publish({.first = row_ * static_cast<std::size_t>(options_.batch_size), .count = gathered_});
  handed_over_.push_back({row_, std::exchange(gathered_, 0)});
  row_ = (row_ + 1) % rows_;
}

std::optional<ImageBatch> NamedImageReader::take() {
  if (handed_over_.empty()) return std::nullopt;
  TakenBatch taken = pool_.take();
  const Row row = handed_over_.front();
  handed_over_.erase(handed_over_.begin());
  std::vector<std::uint32_t> kept = std::move(taken.kept);
  if (kept.empty()) {
    for (std::uint32_t i = 0; i < row.count; ++i) kept.push_back(i);
  }
  const std::span<const std::byte> pixels = pool_.arena().field(taken.lease.slot(), 0);
  const std::size_t bytes = pool_.splits()[0].fields[0].bytes();
  ImageBatch batch{std::move(taken.lease), {}};
  auto next = kept.begin();
  for (std::uint32_t i = 0; i < row.count; ++i) {
    const std::size_t place = row.number * static_cast<std::size_t>(options_.batch_size) + i;
    NamedImage image{.name = names_.name(place), .error = {}, .pixels = {}};
    if (next == kept.end() || *next != i) {
      image.error =
          fmt::format("[predict] {}: reading it ended or stopped its process {} times", image.name, max_tries);
    } else {
      image.error = names_.error(place);
      if (image.error.empty()) {
        image.pixels = pixels.subspan(static_cast<std::size_t>(next - kept.begin()) * bytes, bytes);
      }
      ++next;
    }
    batch.images.push_back(std::move(image));
  }
  return batch;
}

}  // namespace trainyard
