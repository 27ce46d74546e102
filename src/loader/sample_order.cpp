#include "loader/sample_order.h"

#include <algorithm>
#include <bit>

#include "util/random.h"

namespace trainyard {

SampleOrder::SampleOrder(std::uint64_t seed, std::uint64_t epoch, std::uint64_t size, bool shuffle,
                         const SamplesByClass* by_class)
    : seed_(seed),
      epoch_(epoch),
      size_(size),
      shuffle_(shuffle && size > 1),
      by_class_(shuffle_ && by_class != nullptr && !by_class->empty() ? by_class : nullptr) {
  if (!shuffle_ || by_class_ != nullptr) return;
  // Under 8 bits the network's permutations are visibly not uniform. Over a whole epoch, cycle walking costs at most
  // the size of the domain.
  const int bits = std::max(static_cast<int>(std::bit_width(size - 1)), 8);
  low_bits_ = bits - bits / 2;
  low_mask_ = (std::uint64_t{1} << low_bits_) - 1;
  high_mask_ = (std::uint64_t{1} << (bits / 2)) - 1;
  constexpr std::uint64_t name_key = key_of("sample order");
  const std::uint64_t key = key_of({seed, epoch, name_key});
  for (int round = 0; round < rounds; ++round) keys_[round] = mix64(key ^ static_cast<std::uint64_t>(round));
}

std::uint64_t SampleOrder::operator()(std::uint64_t position) const {
  if (!shuffle_) return position;
  if (by_class_ != nullptr) return draw(position);
  std::uint64_t value = position;
  do {
    std::uint64_t low = value & low_mask_;
    std::uint64_t high = value >> low_bits_;
    for (int round = 0; round < rounds; round += 2) {  // XORs each half with a function of the other: a bijection
      low ^= mix64(high ^ keys_[round]) & low_mask_;
      high ^= mix64(low ^ keys_[round + 1]) & high_mask_;
    }
    value = high << low_bits_ | low;
  } while (value >= size_);
  return value;
}

std::uint64_t SampleOrder::draw(std::uint64_t position) const {
  RandomStream random(key_of({seed_, epoch_, key_of("balanced sampling"), position}));
  const std::span<const std::uint64_t> samples = by_class_->samples_of(random.below(by_class_->classes()));
  return samples[random.below(samples.size())];
}

}  // namespace trainyard
