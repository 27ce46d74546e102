/// Reads tensors from safetensors files and writes them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "checkpoint/safetensors.h"
#include "util/atomic_file.h"
#include "util/named_tensors.h"

namespace trainyard {

/// The tensors in a file's bytes, on the CPU, in the order of the header. Each owns its memory. Throws RunError that
/// names `path` if safetensors::parse_header does.
NamedTensors parse_safetensors(std::span<const std::byte> file, std::string_view path);

/// Loads the tensors of a file, which is memory-mapped while they are copied.
NamedTensors load_safetensors(const std::filesystem::path& path);

/// Writes dense tensors, on any device and with any strides, in a form that Python's safetensors loads. Tensors that
/// share memory are each written in full. Tensors not on the CPU are copied one at a time. Throws RunError for an
/// undefined or sparse tensor, an element type that the format lacks, or an invalid name.
void write_safetensors(FileWriter& file, const NamedTensors& tensors, const safetensors::Metadata& metadata,
                       std::string_view path);

/// Writes the file `path` atomically, marked as PyTorch's ("format": "pt").
FileDigest save_safetensors(const std::filesystem::path& path, const NamedTensors& tensors);

}  // namespace trainyard
