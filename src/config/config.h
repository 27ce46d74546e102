/// Every setting of the program itself: one struct per section. Components declare their own (config/component.h).
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "config/choices.h"
#include "config/setting.h"

namespace trainyard {

struct ModelConfig {
  std::string name = "convnet";
  std::string weights;
  bool reset_head = false;
  int freeze_stages = 0;
  std::vector<std::string> freeze;
  ComponentValues components{};

  template <typename Table>
  void declare(Table& table) {
    table.add("name", name, "model to train (trainyard list models)", Resume::fixed);
    table.add("weights", weights, "safetensors file to start from, or the name of one in data/weights (make weights)",
              Resume::fixed);
    table.add("reset_head", reset_head, "with model.weights: reinitialize the last layer", Resume::fixed)
        .only_if(!weights.empty(), "model.weights", "is set");
    table.add("freeze_stages", freeze_stages,
              "number of stages, from the input, that are not trained (trainyard list models -v)", whole(0, 10'000),
              Resume::fixed);
    table.add(
        "freeze", freeze,
        "further parts that are not trained: stages, or prefixes of parameter names, e.g. layer1.0; one flag for each",
        Resume::fixed);
    table.add_components(components);
  }
};

struct DataConfig {
  std::string name = "fashion_mnist";
  std::string root;
  int channels = 3;
  std::int64_t max_pixels = 178'956'970;
  bool exif_orientation = true;
  double val = 0.1;
  std::uint64_t val_seed = 0;
  ComponentValues components{};

  template <typename Table>
  void declare(Table& table) {
    table.add("name", name, "dataset (trainyard list datasets)", Resume::fixed);
    table.add("root", root, "folder of the dataset; empty: searched for in data/ and the distribution's folder",
              Resume::free);
    table.add("channels", channels, "channels of image files: 3 (RGB) or 1 (grey)", one_of({1, 3}), Resume::fixed);
    table.add("max_pixels", max_pixels, "larger image files are refused; the default is Pillow's limit",
              whole(1, std::int64_t{1} << 32), Resume::fixed);
    table.add(
        "exif_orientation", exif_orientation,
        "rotate image files according to their EXIF orientation; false yields the pixels of torchvision's ImageFolder",
        Resume::fixed);
    table.add("val", val,
              "validation samples to take out of train if the data has no val split: a share if below 1, otherwise a "
              "number",
              number(1e-6, 1e12), Resume::fixed);
    table.add("val_seed", val_seed, "which samples data.val takes; independent of train.seed", any_seed(),
              Resume::fixed);
    table.add_components(components);
  }
};

struct TransformConfig {
  std::vector<std::string> train;
  std::vector<std::string> test;
  DecodeMode decode = DecodeMode::exact;

  template <typename Table>
  void declare(Table& table) {
    table.add("train", train, "transforms of training samples, in order; one flag for each; \"\": none", Resume::fixed);
    table.add("test", test, "transforms of val and test samples, in order; one flag for each; \"\": none",
              Resume::fixed);
    table.add(
        "decode", decode,
        "decoding of JPEGs: exact; scaled, faster and softer if they are scaled down; gpu, exact and on the GPU, for "
        "transforms that only crop, scale and flip",
        Resume::fixed);
  }
};

struct LoaderConfig {
  int workers = 2;
  int batch_size = 128;
  Sampling sampling = Sampling::uniform;
  bool drop_last = false;
  int prefetch = 4;
  double timeout = 60;
  SampleCache cache = SampleCache::none;
  std::string cache_name;
  OnWorkerError on_worker_error = OnWorkerError::stop;

  template <typename Table>
  void declare(Table& table) {
    table.add("workers", workers, "worker processes; 0 loads in the training process", whole(0, 256), Resume::free);
    table.add("batch_size", batch_size, "samples per batch, over all GPUs", whole(1, 1 << 20), Resume::fixed);
    table.add("sampling", sampling,
              "training samples of a pass over the data: uniform, each once; balanced, as many, drawn with replacement "
              "so that classes are equally frequent",
              Resume::fixed);
    table.add("drop_last", drop_last, "leave out the last batch of a pass over the training data if it is incomplete",
              Resume::fixed);
    table.add("prefetch", prefetch, "batches to prepare in advance", whole(1, 1024), Resume::free)
        .only_if(workers > 0, "loader.workers", "> 0");
    table.add("timeout", timeout, "seconds that a worker may take for one sample", number(0.1, 86'400), Resume::free)
        .only_if(workers > 0, "loader.workers", "> 0");
    table.add("cache", cache,
              "read every sample once and keep it: shm, in shared memory; gpu, after the transforms, on the GPU",
              Resume::free);
    table
        .add("cache_name", cache_name,
             "shm: runs with the same name share the cache; it stays as /dev/shm/trainyard-cache-<name>-* until you "
             "remove it",
             Resume::free)
        .only_if(cache == SampleCache::shm, "loader.cache", "= shm");
    table.add("on_worker_error", on_worker_error,
              "if a worker is lost or a sample cannot be read: stop; retry, up to 3 times, then stop; skip, after 3 "
              "attempts leave the sample out",
              Resume::free);
  }
};

struct OptimizerConfig {
  std::string name = "sgd";
  double lr = 0.1;
  double weight_decay = 5e-4;
  bool decay_bias_norm = true;
  double layer_decay = 1;
  ComponentValues components{};

  template <typename Table>
  void declare(Table& table) {
    table.add("name", name, "optimizer (trainyard list optimizers)", Resume::fixed);
    table.add("lr", lr, "peak learning rate", number(0, 1e6), Resume::if_named);
    table.add("weight_decay", weight_decay, "weight decay: an L2 penalty for sgd, decoupled for adamw and lion",
              number(0, 1e3), Resume::if_named);
    table.add("decay_bias_norm", decay_bias_norm, "also apply weight decay to biases, norms and embeddings",
              Resume::fixed);
    table.add("layer_decay", layer_decay,
              "learning rate of a model's stage, as a share of the next stage's; 1: all the same", number(0, 1),
              Resume::if_named);
    table.add_components(components);
  }
};

struct ScheduleConfig {
  std::string name = "cosine";
  double warmup_epochs = 0;
  ComponentValues components{};

  template <typename Table>
  void declare(Table& table) {
    table.add("name", name, "learning rate over the run (trainyard list schedules)", Resume::if_named);
    table.add("warmup_epochs", warmup_epochs, "epochs of linear warm-up from 0; may be fractional", number(0, 1e6),
              Resume::if_named);
    table.add_components(components);
  }
};

struct TrainConfig {
  int epochs = 5;
  std::int64_t steps_per_epoch = 0;
  std::string device = "auto";
  Precision precision = Precision::fp32;
  std::uint64_t seed = 0;
  int accumulate = 1;
  double clip_grad_norm = 0;
  double clip_grad_value = 0;
  double ema_decay = 0;
  OnNonfinite on_nonfinite = OnNonfinite::stop;
  bool deterministic = false;
  bool cuda_graph = true;
  bool recompute = false;
  int threads = 0;
  int patience = 0;
  int log_every = 50;

  template <typename Table>
  void declare(Table& table) {
    table.add("epochs", epochs, "epochs to train; each ends with an evaluation and a checkpoint", whole(1, 1'000'000),
              Resume::if_named);
    table.add(
        "steps_per_epoch", steps_per_epoch,
        "optimizer steps after which an epoch ends, wherever that is in the training set; 0: an epoch is one pass "
        "over it",
        whole(0, 1'000'000'000), Resume::fixed);
    table.add("device", device, "where to train; auto and cuda: on all GPUs, with one process each (docs/many-gpus.md)",
              device_name(), Resume::free);
    table.add("precision", precision, "arithmetic of the step", Resume::if_named);
    table.add("seed", seed, "seed of initial weights, sample order and augmentation", any_seed(), Resume::fixed);
    table.add("accumulate", accumulate, "batches whose gradients are accumulated for one step", whole(1, 65'536),
              Resume::fixed);
    table.add("clip_grad_norm", clip_grad_norm, "maximum norm of all gradients together; 0: no limit", number(0, 1e9),
              Resume::if_named);
    table.add("clip_grad_value", clip_grad_value, "maximum magnitude of each element of the gradients; 0: no limit",
              number(0, 1e9), Resume::if_named);
    table.add("ema_decay", ema_decay, "decay of the averaged weights, e.g. 0.999; 0: no averaging", number(0, 0.999999),
              Resume::fixed);
    table.add("on_nonfinite", on_nonfinite, "if the loss is NaN or infinite: stop the run, or skip the step",
              Resume::free);
    table.add("deterministic", deterministic, "bit-identical results also on a GPU; slower", Resume::free);
    table.add("cuda_graph", cuda_graph,
              "on a GPU, capture the step once and replay it; false for a model that makes decisions on the CPU",
              Resume::free);
    table.add("recompute", recompute,
              "recompute the model's stages in the backward pass instead of keeping their results: less memory",
              Resume::free);
    table.add("threads", threads, "CPU threads of the training process; 0: all cores", whole(0, 4096), Resume::free);
    table.add("patience", patience, "epochs without a better val result after which to stop; 0: never",
              whole(0, 1'000'000), Resume::if_named);
    table.add("log_every", log_every, "steps between two lines of metrics.jsonl", whole(1, 1'000'000), Resume::free);
  }
};

struct DistributedConfig {
  double timeout = 60;
  int max_restarts = 0;
  bool sync_batch_norm = false;

  template <typename Table>
  void declare(Table& table) {
    table.add("timeout", timeout, "seconds that the processes of a run wait for one another before the run fails",
              number(1, 86'400), Resume::free);
    table.add("max_restarts", max_restarts,
              "how often training on several devices restarts from the last checkpoint after losing a process",
              whole(0, 1'000), Resume::free);
    table.add("sync_batch_norm", sync_batch_norm,
              "use batch-norm statistics of the whole batch, as on one device, instead of each process's part; slower",
              Resume::if_named);
  }
};

struct CheckpointConfig {
  int every_steps = 0;
  int keep = 2;
  bool keep_best = true;

  template <typename Table>
  void declare(Table& table) {
    table.add("every_steps", every_steps, "steps between checkpoints; 0: after each epoch only",
              whole(0, 1'000'000'000), Resume::free);
    table.add("keep", keep, "number of newest checkpoints to keep", whole(1, 1'000'000), Resume::free);
    table.add("keep_best", keep_best, "also keep the checkpoint that is best on val", Resume::free);
  }
};

struct RunConfig {
  static constexpr const char* trials = "scratch";  ///< the folder of trial runs in `dir`; no name of a run

  std::string dir = "runs";
  std::string name;
  std::string resume = "auto";
  std::string started_in;

  template <typename Table>
  void declare(Table& table) {
    table.add("dir", dir, "parent folder of the runs", Resume::free);
    table.add("name", name, "folder of this run; empty: <data.name>-<model.name>", Resume::free);
    table.add("resume", resume, "auto (from the run's last checkpoint, if any), never, or a checkpoint's path",
              Resume::free);
    table.add("started_in", started_in, "written by train: the folder in which relative paths were given", Resume::free)
        .flag = false;
  }
};

struct TaskConfig {
  std::string name = "classification";
  ComponentValues components{};

  template <typename Table>
  void declare(Table& table) {
    table.add("name", name, "task to train for: determines loss, metrics and predictions (trainyard list tasks)",
              Resume::fixed);
    table.add_components(components);
  }
};

struct Config {
  TaskConfig task;
  ModelConfig model;
  DataConfig data;
  TransformConfig transform;
  LoaderConfig loader;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainConfig train;
  DistributedConfig distributed;
  CheckpointConfig checkpoint;
  RunConfig run;
};

}  // namespace trainyard
