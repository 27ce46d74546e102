/// Fingerprints of a dataset's content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace trainyard {

/// `key` mixed with the size and every byte of `bytes`. About 5 GB/s; not for use against forgery.
std::uint64_t fingerprint(std::uint64_t key, std::span<const std::byte> bytes);

}  // namespace trainyard
