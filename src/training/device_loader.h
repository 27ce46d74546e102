/// Batches on the training device: the last step of a sample's way.
#pragma once

#include <deque>
#include <optional>

#include "loader/data_loader.h"
#include "training/normalize.h"
#include "util/torch.h"

namespace trainyard {

/// A batch ready for the model.
struct DeviceBatch {
  at::Tensor images;    ///< float32, N × channels × height × width, normalised, channels last
  at::Tensor labels;    ///< int64, N
  std::int64_t number;  ///< its place in the epoch
  std::int64_t count;   ///< N
  // Where the images are mixtures of two (training/mix.h):
  at::Tensor other_labels{};  ///< int64, N, of what was mixed in; undefined: nothing was
  double share = 1;           ///< of each image that is labels', the rest is other_labels'
};

/// Moves a DataLoader's batches to `device`. On a GPU the copy runs on a stream of its own, from the arena's registered
/// memory, while the step before computes; a slot goes back to the workers once its copy is done. On the CPU the slot
/// itself is read. Used from one thread; `loader` must outlive it.
class DeviceLoader {
 public:
  DeviceLoader(DataLoader& loader, Normalize normalize, at::Device device);
  ~DeviceLoader();

  /// The next batch of the epoch that the loader has started, nothing at its end.
  std::optional<DeviceBatch> next();

 private:
  DeviceBatch read_in_place(const Batch& batch) const;
  DeviceBatch copy_to_gpu(Batch batch);
  void wait_for_copies(std::size_t at_most_in_flight);

  struct Copy {
    Batch batch;
    c10::Event done;
  };

  DataLoader& loader_;
  Normalize normalize_;
  at::Device device_;
  std::optional<c10::Stream> copy_stream_;
  std::deque<Copy> copies_;
};

/// Registers the loader's arena with CUDA, so that copies from it are asynchronous and run at full speed, for as long
/// as this lives; an empty span registers nothing. Where that fails (a low memlock limit) copies still work, slower;
/// one warning says so.
class RegisteredMemory {
 public:
  explicit RegisteredMemory(std::span<std::byte> memory);
  ~RegisteredMemory();
  RegisteredMemory(const RegisteredMemory&) = delete;
  RegisteredMemory& operator=(const RegisteredMemory&) = delete;

 private:
  void* address_ = nullptr;
};

}  // namespace trainyard
