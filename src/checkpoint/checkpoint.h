/// Writing and reading the state of a run: a folder that is there whole or not at all.
///
///     step-00001170/model.safetensors   the model's state_dict, as Python loads it
///                   ema.safetensors     the averaged weights, when the run has them
///                   state.safetensors   all else that a bit-exact continuation needs
///                   manifest.json       what it is, with the sizes and checksums of the others
///
/// docs/checkpoint-format.md is the prose. No globals: these may run on a thread of their own.
#pragma once

#include <filesystem>

#include "checkpoint/checkpoint_folder.h"
#include "checkpoint/manifest.h"
#include "checkpoint/safetensors_torch.h"

namespace trainyard {

struct Checkpoint {
  Manifest manifest;
  NamedTensors model;
  NamedTensors ema;  ///< empty: the run has none
  NamedTensors state;
};

/// Bytes that a file of these tensors takes, or a whole checkpoint: slightly more than will be written.
std::uint64_t bytes_of(const NamedTensors& tensors);
std::uint64_t bytes_of(const Checkpoint& contents);

/// Writes `checkpoints`/step-<manifest.step>/ and returns its path; manifest.files and .trainyard_version are filled
/// in. The folder is made if only it is missing, not its parents; a checkpoint of the same step is replaced. The
/// tensors must not change meanwhile. Every file, the folder and its parent are flushed to the disk before the return.
/// Throws RunError, with nothing changed, when the disk lacks the space or anything else fails. One writer at a time.
std::filesystem::path write_checkpoint(const std::filesystem::path& checkpoints, const Checkpoint& contents);

/// Reads a step folder, comparing sizes and checksums with the manifest; tensors are on the CPU. Throws RunError that
/// names the file and the mismatch, UsageError for another format version.
Checkpoint read_checkpoint(const std::filesystem::path& folder);

}  // namespace trainyard
