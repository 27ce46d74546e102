// Batches of a folder of images as tensors, on the GPU if there is one: loader_only FOLDER

#include <iostream>

#include <trainyard/loader/open_pool.h>
#include <trainyard/loader_torch/device_loader.h>
#include <trainyard/loader_torch/registered_memory.h>

#include <torch/torch.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: loader_only FOLDER\n";
    return 2;
  }
  trainyard::Config config;
  config.data.name = "image_folder";
  config.data.root = argv[1];
  config.transform.train = {"random_resized_crop(size=32)", "random_horizontal_flip"};
  config.transform.test = {"resize(size=32)", "center_crop(size=32)"};
  config.loader.batch_size = 4;
  trainyard::WorkerPool pool = trainyard::open_pool(config);  // forks the workers: before CUDA, before any thread

  const torch::Device device(torch::cuda::is_available() ? torch::kCUDA : torch::kCPU);
  const trainyard::RegisteredMemory pinned(device.is_cuda() ? pool.memory() : std::span<std::byte>());
  const trainyard::Normalize normalize({0.485, 0.456, 0.406}, {0.229, 0.224, 0.225}, device);
  trainyard::DeviceLoader train(pool, trainyard::Split::train, {.shuffle = true}, device);
  for (int epoch = 0; epoch < 2; ++epoch) {
    train.start_epoch(epoch);
    while (const std::optional<trainyard::DeviceBatch> batch = train.next()) {
      const torch::Tensor images = normalize(batch->field("image").data);  // float32, N × channels × height × width
      const torch::Tensor labels = batch->field("label").data;             // int64, N
      std::cout << "epoch " << epoch << ": " << images.sizes() << " on " << images.device().type() << ", labels sum to "
                << labels.sum().item<std::int64_t>() << "\n";
    }
  }
}
