#include "loader/sample_cache.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include <unistd.h>

#include "datasets/dataset_view.h"
#include "loader/shared_file.h"
#include "util/error.h"
#include "util/file_system.h"

namespace trainyard {
namespace {

// What is known of a sample: nothing, that somebody is storing it, or its label, as label + label_0.
using Entry = std::atomic<std::int64_t>;
constexpr std::int64_t unknown = 0;
constexpr std::int64_t being_stored = 1;
constexpr std::int64_t label_0 = 2;
static_assert(Entry::is_always_lock_free);

/// What the file begins with: whose samples it holds.
struct Header {
  std::uint64_t fingerprint = 0;
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;  ///< of all samples
  std::uint64_t magic = 0;  ///< once the others are written and all of the file is reserved
  bool operator==(const Header&) const = default;
};
constexpr std::uint64_t header_magic = 0x3165686361635954;  // "TYcache1"

std::string path_of(const CachePlace& place) { return place.directory + "/" + place.name; }

[[noreturn]] void throw_no_room(std::size_t samples, std::uint64_t needed, const CachePlace& place) {
  throw MachineError("loader",
                     "{} has {} bytes free, loader.cache = shm needs {} for {} samples; start the container with "
                     "--ipc=host or a larger --shm-size, or set loader.cache = none",
                     place.directory, free_bytes(place.directory, "loader"), needed, samples);
}

/// The file: a header, an entry a sample, and the samples' bytes.
class Store {
 public:
  /// Throws MachineError where there is no room, UsageError where the file of that name holds other samples.
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

  /// From byte `offset` of the samples on.
  std::byte* at(std::uint64_t offset) const { return bytes_ + offset; }

  /// The label of a sample whose bytes are here, -1 of another.
  std::int64_t label(std::size_t index) const {
    return std::max<std::int64_t>(entries_[index].load(std::memory_order_acquire) - label_0, -1);
  }

  /// True for one caller, who is to write the sample's bytes and then keep() it. Nobody else ever will: whoever is at
  /// it may only be slow.
  bool claim(std::size_t index) const {
    std::int64_t entry = unknown;
    return entries_[index].compare_exchange_strong(entry, being_stored);
  }
  void keep(std::size_t index, std::int64_t label) const {
    entries_[index].store(label + label_0, std::memory_order_release);
  }

 private:
  // False for a new file, and for one whose maker was killed before it was whole.
  static bool is_filled(const UniqueFd& file, const Header& header, std::uint64_t needed, const CachePlace& place) {
    Header found;
    read_at(file.get(), std::as_writable_bytes(std::span(&found, 1)), 0, "loader", place.directory);
    if (found.magic != header_magic) return false;
    if (found != header) {
      throw UsageError("loader.cache_name",
                       "{} holds {} samples of other data; choose another name, or remove it if no run uses it",
                       path_of(place), found.samples);
    }
    return regular_file_size(file.get(), "loader", path_of(place)) == needed;
  }

  static void take_room(const UniqueFd& file, const Header& header, std::uint64_t needed, const CachePlace& place) {
    for (const std::uint64_t size : {std::uint64_t{0}, needed}) {  // zeros, whatever was there
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

/// Samples of one size, or that vary in their rows.
class CachedDataset final : public DatasetView<Dataset> {
 public:
  CachedDataset(std::shared_ptr<const Dataset> dataset, const CachePlace& place)
      : DatasetView(std::move(dataset)), store_(source(), size() * spec().bytes(), place) {}

  std::int64_t get(std::size_t index, std::span<std::byte> out) const override {
    std::byte* const stored = store_.at(index * spec().bytes());
    if (const std::int64_t label = store_.label(index); label >= 0) {
      std::memcpy(out.data(), stored, out.size());
      return label;
    }
    const std::int64_t label = source().get(index, out);
    if (label >= 0 && store_.claim(index)) {
      std::memcpy(stored, out.data(), out.size());
      store_.keep(index, label);
    }
    return label;
  }

 private:
  Store store_;
};

/// Where each picture's pixels lie in the store.
struct PicturePlaces {
  std::vector<ImageSize> sizes;  ///< none of pictures that cannot be opened
  std::vector<std::uint64_t> offsets;
  std::uint64_t bytes = 0;
};

// Opens every picture. Stops at the first for which there is no room any more.
PicturePlaces measure(const ImageDataset& images, const CachePlace& place) {
  const auto channels = static_cast<std::uint64_t>(images.spec().shape[2]);
  std::uint64_t room = free_bytes(place.directory, "loader");
  if (!place.name.empty()) room += regular_file_size(open_named_file(path_of(place)).get(), "loader", path_of(place));
  PicturePlaces places;
  Scratch scratch;
  for (std::size_t index = 0; index < images.size(); ++index) {
    ImageSize size;
    try {
      size = images.size_of(images.read(index, scratch), index);
    } catch (const RunError&) {  // whoever reads it will say so
    }
    places.sizes.push_back(size);
    places.offsets.push_back(places.bytes);
    places.bytes += size.height * size.width * channels;
    if (places.bytes > room) throw_no_room(index + 1, places.bytes, place);
  }
  return places;
}

/// Pictures, decoded whole.
class CachedImages final : public DatasetView<ImageDataset> {
 public:
  CachedImages(std::shared_ptr<const ImageDataset> images, const CachePlace& place)
      : DatasetView(std::move(images)), places_(measure(source(), place)), store_(source(), places_.bytes, place) {}

  StoredImage read(std::size_t index, Scratch& scratch) const override {
    const ImageSize size = places_.sizes[index];
    const std::size_t bytes = size.height * size.width * channels();
    std::byte* const pixels = store_.at(places_.offsets[index]);
    const StoredImage cached{.bytes = {pixels, bytes}, .pixels = size, .label = store_.label(index)};
    if (cached.label >= 0) return cached;
    StoredImage stored = source().read(index, scratch);
    if (bytes == 0 || stored.label < 0 || !store_.claim(index) || !decode(stored, index, size, pixels)) return stored;
    store_.keep(index, stored.label);
    return {.bytes = cached.bytes, .pixels = size, .label = stored.label};
  }

 private:
  std::size_t channels() const { return static_cast<std::size_t>(spec().shape[2]); }

  // False for a picture that is damaged, maybe where no transform looks, or that was changed since it was measured.
  bool decode(const StoredImage& stored, std::size_t index, ImageSize size, std::byte* pixels) const {
    try {
      return source().decode_whole(stored, index, size, pixels) == size;
    } catch (const RunError&) {
      return false;
    }
  }

  PicturePlaces places_;
  Store store_;
};

}  // namespace

std::unique_ptr<Dataset> cached_in_shared_memory(std::unique_ptr<Dataset> dataset, const CachePlace& place) {
  if (dataset->size() == 0) return dataset;
  const std::shared_ptr<const Dataset> shared = std::move(dataset);
  if (auto images = std::dynamic_pointer_cast<const ImageDataset>(shared)) {
    return std::make_unique<CachedImages>(std::move(images), place);
  }
  return std::make_unique<CachedDataset>(shared, place);
}

}  // namespace trainyard
