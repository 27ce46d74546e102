// Batches of a folder of images as bytes in shared memory: loader_without_torch FOLDER

#include <iostream>
#include <numeric>

#include <trainyard/loader/data_loader.h>
#include <trainyard/loader/open_pool.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: loader_without_torch FOLDER\n";
    return 2;
  }
  trainyard::Config config;
  config.data.name = "image_folder";
  config.data.root = argv[1];
  config.transform.train = config.transform.test = {"resize(size=32)", "center_crop(size=32)"};
  config.loader.batch_size = 4;
  trainyard::WorkerPool pool = trainyard::open_pool(config);  // forks the workers: before any thread

  trainyard::DataLoader train(pool, trainyard::Split::train, {.shuffle = true});
  train.start_epoch(0);
  while (const std::optional<trainyard::Batch> batch = train.next()) {
    const std::span<const std::uint8_t> pixels = batch->field("image").as<std::uint8_t>();  // N × 32 × 32 × 3
    const std::span<const std::int64_t> labels = batch->field("label").as<std::int64_t>();  // N
    std::cout << pixels.size() << " bytes of " << batch->count() << " images, labels sum to "
              << std::accumulate(labels.begin(), labels.end(), std::int64_t{0}) << "\n";
  }
}
