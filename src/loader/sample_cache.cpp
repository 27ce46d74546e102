#include "loader/sample_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <unistd.h>

#include "datasets/dataset_view.h"
#include "datasets/stored_images.h"
#include "loader/shared_file.h"
#include "util/count_of.h"
#include "util/error.h"
#include "util/file_system.h"

namespace trainyard {
namespace {

// The state of a sample.
using Entry = std::atomic<std::uint8_t>;
enum State : std::uint8_t { unknown, being_stored, stored };
static_assert(Entry::is_always_lock_free);

/// The start of the file: identifies the samples it holds.
struct Header {
  std::uint64_t fingerprint = 0;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;  ///< of all samples
  std::uint64_t magic = 0;  ///< set last, when the whole file is reserved
  bool operator==(const Header&) const = default;
};
constexpr std::uint64_t header_magic = 0x3265686361635954;  // "TYcache2"

std::string path_of(const CachePlace& place) { return place.directory + "/" + place.name; }

[[noreturn]] void throw_no_room(std::size_t samples, std::uint64_t needed, const CachePlace& place) {
  throw MachineError("loader",
                     "{} has {} bytes free, loader.cache = shm needs {} for {}; start the container with "
                     "--ipc=host or a larger --shm-size, or set loader.cache = none",
                     place.directory, free_bytes(place.directory, "loader"), needed, count_of(samples, "sample"));
}

/// The file: a header, one entry per sample, and the samples' bytes.
class Store {
 public:
  /// Throws MachineError if there is not enough memory, UsageError if a file with that name holds other samples.
  Store(const Dataset& dataset, std::uint64_t bytes, const CachePlace& place) {
    const Header header{dataset.fingerprint(), dataset.size(), bytes, header_magic};
    const std::uint64_t needed = sizeof header + dataset.size() * sizeof(Entry) + bytes;
    const UniqueFd file =
        place.name.empty() ? open_shared_file(place.directory, needed) : open_named_file(path_of(place));
    const bool filled = is_filled(file, header, needed, place);
    if (!filled) take_room(file, header, needed, place);
    memory_ = Mapping::shared(file.get(), "loader", place.directory);
    std::byte* const begin = memory_.bytes().data();
    if (!filled) std::memcpy(begin, &header, sizeof header);
    entries_ = reinterpret_cast<Entry*>(begin + sizeof header);
    bytes_ = reinterpret_cast<std::byte*>(entries_ + dataset.size());
  }

  /// The samples' bytes from `offset`.
  std::byte* at(std::uint64_t offset) const { return bytes_ + offset; }

  /// Whether the sample is stored.
  bool has(std::size_t index) const { return entries_[index].load(std::memory_order_acquire) == stored; }

  /// Returns true to a single caller, which then writes the sample's bytes and calls keep(). A claim is never revoked,
  /// because a claimer that seems dead may just be slow.
  bool claim(std::size_t index) const {
    std::uint8_t entry = unknown;
    return entries_[index].compare_exchange_strong(entry, being_stored);
  }
  void keep(std::size_t index) const { entries_[index].store(stored, std::memory_order_release); }

 private:
  // Returns false for a new file, and for one whose creator was killed before it was complete.
  static bool is_filled(const UniqueFd& file, const Header& header, std::uint64_t needed, const CachePlace& place) {
    Header found;
    read_at(file.get(), std::as_writable_bytes(std::span(&found, 1)), 0, "loader", place.directory);
    if (found.magic != header_magic) return false;
    if (found != header) {
      throw UsageError("loader.cache_name",
                       "{} holds {} of other data; choose another name, or remove it if no run uses it", path_of(place),
                       count_of(found.samples, "sample"));
    }
    return regular_file_size(file.get(), "loader", path_of(place)) == needed;
  }

  static void take_room(const UniqueFd& file, const Header& header, std::uint64_t needed, const CachePlace& place) {
    for (const std::uint64_t size : {std::uint64_t{0}, needed}) {  // fills it with zeros, whatever it held
      check_call(ftruncate(file.get(), static_cast<off_t>(size)), "loader", "ftruncate", place.directory);
    }
    if (reserve(file.get(), 0, needed)) return;
    if (!place.name.empty()) unlink(path_of(place).c_str());
    throw_no_room(header.samples, needed, place);
  }

  Mapping memory_;
  Entry* entries_;
  std::byte* bytes_;
};

/// The positions of the samples in the store.
class Places {
 public:
  /// Opens every image. Throws MachineError as soon as one does not fit.
  Places(const Dataset& dataset, const CachePlace& place) : fields_(dataset.fields()), samples_(dataset.size()) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      if (fields_[i].is_stored_image) {
        images_.push_back(i);
      } else {
        elements_bytes_ += fields_[i].bytes();
      }
    }
    bytes_ = samples_ * elements_bytes_;
    if (!images_.empty()) measure(dataset, place);
  }

  /// Total of all samples.
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t begin_of(std::size_t sample) const {
    return images_.empty() ? sample * elements_bytes_ : begins_[sample];
  }
  /// The size of an image; empty if it cannot be opened.
  ImageSize size_of(std::size_t sample, std::size_t field) const {
    const auto image = std::find(images_.begin(), images_.end(), field) - images_.begin();
    return sizes_[sample * images_.size() + static_cast<std::size_t>(image)];
  }
  std::uint64_t bytes_of(std::size_t sample, std::size_t field) const {
    if (!fields_[field].is_stored_image) return fields_[field].bytes();
    const auto [height, width] = size_of(sample, field);
    return height * width * channels_of(fields_[field]);
  }

 private:
  void measure(const Dataset& dataset, const CachePlace& place) {
    std::uint64_t room = free_bytes(place.directory, "loader");
    if (!place.name.empty()) room += regular_file_size(open_named_file(path_of(place)).get(), "loader", path_of(place));
    sizes_.resize(samples_ * images_.size());
    Sample sample;
    bytes_ = 0;
    for (std::size_t index = 0; index < samples_; ++index) {
      begins_.push_back(bytes_);
      ImageSize* const sizes = sizes_.data() + index * images_.size();
      try {
        read_sample(dataset, index, sample);
        for (std::size_t i = 0; i < images_.size(); ++i) {
          sizes[i] = stored_image_size(dataset, images_[i], sample.stored(images_[i]), index);
        }
      } catch (const RunError&) {  // reported when it is read
      }
      bytes_ += elements_bytes_;
      for (const std::size_t field : images_) bytes_ += bytes_of(index, field);
      if (bytes_ > room) throw_no_room(index + 1, bytes_, place);
    }
  }

  std::vector<Field> fields_;
  std::size_t samples_;
  std::vector<std::size_t> images_;    ///< the fields that are stored images
  std::uint64_t elements_bytes_ = 0;   ///< of the other fields of a sample, at most
  std::vector<ImageSize> sizes_;       ///< of each sample's images
  std::vector<std::uint64_t> begins_;  ///< if there are images
  std::uint64_t bytes_ = 0;
};

/// Copies elements unchanged and images whole and decoded.
class CachedDataset final : public DatasetView {
 public:
  CachedDataset(std::shared_ptr<const Dataset> dataset, const CachePlace& place)
      : DatasetView(std::move(dataset)), places_(source(), place), store_(source(), places_.bytes(), place) {}

  void read(std::size_t index, RandomStream random, Sample& sample) const override {
    if (store_.has(index)) return hand_over(index, sample);
    source().read(index, random, sample);
    require_filled(*this, index, sample);
    if (!store_.claim(index) || !keep(index, sample)) return;
    store_.keep(index);
    hand_over(index, sample);  // so that its images are not decoded again
  }

 private:
  template <typename Use>
  void for_each(std::size_t index, Use use) const {
    std::uint64_t at = places_.begin_of(index);
    for (std::size_t i = 0; i < fields().size(); ++i) {
      const std::uint64_t bytes = places_.bytes_of(index, i);
      use(i, std::span(store_.at(at), bytes));
      at += bytes;
    }
  }

  void hand_over(std::size_t index, Sample& sample) const {
    for_each(index, [&](std::size_t field, std::span<std::byte> kept) {
      if (fields()[field].is_stored_image) return sample.store(field, {kept, places_.size_of(index, field)});
      const std::span<std::byte> out = sample.elements(field);
      std::memcpy(out.data(), kept.data(), out.size());
    });
  }

  // Returns false for an image that cannot be opened, that is damaged, perhaps in a part that no transform reads, or
  // that changed since it was measured.
  bool keep(std::size_t index, const Sample& sample) const {
    bool all = true;
    for_each(index, [&](std::size_t field, std::span<std::byte> kept) {
      if (!all) return;
      if (fields()[field].is_stored_image) {
        all = decode(index, field, sample.stored(field), kept.data());
      } else {
        const std::span<const std::byte> elements = sample.place(field);
        std::memcpy(kept.data(), elements.data(), elements.size());
      }
    });
    return all;
  }

  bool decode(std::size_t index, std::size_t field, const StoredImage& stored, std::byte* pixels) const {
    const ImageSize size = places_.size_of(index, field);
    try {
      return decode_whole(source(), field, stored, index, size, pixels) == size;
    } catch (const RunError&) {
      return false;
    }
  }

  Places places_;
  Store store_;
};

}  // namespace

std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const CachePlace& place) {
  if (dataset->size() == 0) return dataset;
  return std::make_unique<CachedDataset>(std::move(dataset), place);
}

}  // namespace trainyard
