#include "loader/striped_file.h"

#include <algorithm>

#include "loader/shared_file.h"

namespace trainyard {
namespace {

constexpr std::size_t max_files = 16;
constexpr std::size_t max_stripes = 64;  // each is a separate mapping, which every fork copies
constexpr std::size_t mebibyte = std::size_t{1} << 20;

constexpr std::size_t ceil_divide(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit; }

}  // namespace

StripedFile::StripedFile(const std::string& directory, std::size_t bytes) : size_(bytes) {
  const std::size_t count = std::clamp<std::size_t>(ceil_divide(bytes, stripe_bytes()), 1, max_files);
  files_.resize(count);
  std::vector<std::size_t> sizes(count);
  for (const Part& part : parts(0, bytes)) sizes[part.file] += part.bytes;
  for (std::size_t i = 0; i < count; ++i) files_[i] = open_shared_file(directory, sizes[i]);
}

StripedFile::StripedFile(std::vector<UniqueFd> files) : files_(std::move(files)) {
  for (const UniqueFd& file : files_) size_ += regular_file_size(file.get(), "loader", "shared memory");
}

std::vector<int> StripedFile::descriptors() const {
  std::vector<int> result;
  for (const UniqueFd& file : files_) result.push_back(file.get());
  return result;
}

Mapping StripedFile::map() const {
  Mapping mapping = Mapping::addresses(size_, "loader");
  for (const Part& part : parts(0, size_)) {
    mapping.put(part.begin, part.bytes, files_[part.file].get(), part.offset, "loader");
  }
  return mapping;
}

bool StripedFile::reserve(std::size_t begin, std::size_t bytes) const {
  const std::vector<Part> all = parts(begin, bytes);
  return std::all_of(all.begin(), all.end(), [this](const Part& part) {
    return trainyard::reserve(files_[part.file].get(), part.offset, part.bytes);
  });
}

std::size_t StripedFile::stripe_bytes() const {
  return std::max<std::size_t>(ceil_divide(size_, max_stripes * mebibyte), 1) * mebibyte;
}

// Stripe s is stripe s / files of file s % files.
std::vector<StripedFile::Part> StripedFile::parts(std::size_t begin, std::size_t bytes) const {
  std::vector<Part> result;
  for (const std::size_t end = begin + bytes; begin < end;) {
    const std::size_t stripe = begin / stripe_bytes();
    const std::size_t within = begin % stripe_bytes();
    const std::size_t count = std::min(stripe_bytes() - within, end - begin);
    result.push_back({.file = stripe % files_.size(),
                      .offset = stripe / files_.size() * stripe_bytes() + within,
                      .begin = begin,
                      .bytes = count});
    begin += count;
  }
  return result;
}

}  // namespace trainyard
