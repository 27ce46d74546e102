/// Every setting there is: one documented struct a section, a key `section.field` in TOML files and as a flag.
/// The settings table (config/settings.cpp) has their ranges, which are enforced before anything heavy starts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace trainyard {

struct ModelConfig {
  std::string name = "convnet";  ///< a registered model; `trainyard list models`
  std::string stem =
      "standard";           ///< ResNet's first layers: standard (7×7, stride 2, for 224 px), small (3×3, 28–64 px)
  int patch_size = 16;      ///< ViT only: side of a patch in pixels; 4 or 7 for images of 28–32 px
  std::string weights;      ///< a safetensors file to begin from (fine-tuning); empty: drawn from the seed
  bool reset_head = false;  ///< with weights: the file's last layer is left out and drawn anew
};

struct DataConfig {
  std::string name = "fashion_mnist";     ///< a registered dataset; `trainyard list datasets`
  std::string root;                       ///< its folder; empty: data/<name>, data, then the distribution's folder
  int channels = 3;                       ///< of image files: 3 (RGB) or 1 (grey)
  std::int64_t max_pixels = 178'956'970;  ///< larger image files are refused; the default is Pillow's limit
  bool exif_orientation = true;           ///< turn image files upright, as their EXIF orientation asks
  double val = 0.1;  ///< taken out of train if the data has no val split: a share if below 1, otherwise a number
  std::uint64_t val_seed = 0;  ///< which samples these are; a setting apart from train.seed, so that seeds compare
  // For data.name = "synthetic":
  std::vector<std::int64_t> shape = {32, 32, 3};  ///< height, width, channels of a sample
  std::int64_t samples = 10'000;                  ///< training samples; a fifth as many test samples
  std::int64_t classes = 10;                      ///< number of classes
};

struct TransformConfig {
  std::vector<std::string> train;  ///< applied to training samples in order, as in "random_crop(padding=4)"
  std::vector<std::string> test;   ///< applied to test samples, and to what `trainyard predict` is given
  std::string decode = "exact";    ///< JPEGs that become smaller: exact (Pillow's pixels) or scaled (faster, softer)
};

struct LoaderConfig {
  int workers = 2;         ///< worker processes; 0 loads in the training process
  int batch_size = 128;    ///< samples a step, over all of them
  bool drop_last = false;  ///< training: leave out an epoch's last batch if it is incomplete
  int prefetch = 4;        ///< batches prepared ahead of the step; more where they have too few samples for all workers
  double timeout = 60;     ///< seconds a worker may take for one sample before it counts as lost
  std::string cache = "none";  ///< none; samples are read once and kept: shm, in shared memory; gpu, on the GPU
  std::string cache_name;      ///< shm: runs with one name share what they keep, which stays there until it is removed
  std::string on_worker_error = "stop";  ///< stop, retry, skip: what a lost worker or an unreadable sample leads to
};

struct OptimizerConfig {
  std::string name = "sgd";     ///< a registered optimizer; `trainyard list optimizers`
  double lr = 0.1;              ///< peak learning rate
  double momentum = 0.9;        ///< sgd only
  bool nesterov = true;         ///< sgd only
  double weight_decay = 5e-4;   ///< L2 penalty for sgd, decoupled for adamw and lion
  bool decay_bias_norm = true;  ///< false: no weight decay on biases, norms and embeddings, as timm does
  double beta1 = 0.9;           ///< adamw, lion
  double beta2 = 0.999;         ///< adamw, lion (0.99 in its paper)
  double eps = 1e-8;            ///< adamw only
};

struct ScheduleConfig {
  std::string name = "cosine";    ///< constant, cosine, step or one_cycle
  double warmup_epochs = 0;       ///< linear warm-up from 0 before it; may be fractional
  double step_epochs = 30;        ///< step only: epochs between two drops
  double gamma = 0.1;             ///< step only: factor of each drop
  double pct_start = 0.3;         ///< one_cycle only: share of the steps in which the rate rises
  double div_factor = 25;         ///< one_cycle only: it begins at lr / div_factor
  double final_div_factor = 1e4;  ///< one_cycle only: and ends at lr / div_factor / final_div_factor
};

struct TrainConfig {
  int epochs = 5;
  std::string device = "auto";     ///< auto, cpu, cuda, cuda:N
  std::string precision = "fp32";  ///< fp32, tf32, bf16, fp16 (with gradient scaling)
  std::uint64_t seed = 0;          ///< fixes weights, order and augmentation
  double label_smoothing = 0;      ///< 0 to under 1
  double mixup = 0;                ///< alpha of mixup's Beta(alpha, alpha); 0: none
  double cutmix = 0;               ///< alpha of cutmix's; 0: none; with both, a step takes either
  int accumulate = 1;              ///< batches whose gradients make one step
  double clip_grad_norm = 0;       ///< largest norm of all gradients together; 0: as they are
  double ema_decay = 0;            ///< of the averaged weights, as 0.999; 0: none are kept
  std::string on_nonfinite =
      "stop";                  ///< a loss that is NaN or infinite ends the run (stop) or is not learnt from (skip)
  bool deterministic = false;  ///< the same bits in every run on a GPU too; slower
  bool cuda_graph = true;      ///< on a GPU, capture the step once and replay it (training/step_graph.h)
  int threads = 0;             ///< CPU threads of the training process; 0: all cores it may use
  int patience = 0;            ///< epochs without a better val result after which the run ends; 0: all epochs
  int log_every = 50;          ///< steps between two lines of metrics.jsonl
};

struct CheckpointConfig {
  int every_steps = 0;    ///< steps between two checkpoints within an epoch; 0: only after each epoch
  int keep = 2;           ///< newest checkpoints that stay
  bool keep_best = true;  ///< and the one with the best test accuracy
};

struct RunConfig {
  std::string dir = "runs";     ///< parent folder of all runs
  std::string name;             ///< this run's folder in it; empty: <data.name>-<model.name>
  std::string resume = "auto";  ///< auto (go on from the run's last checkpoint, if any), never, or a checkpoint's path
  std::string started_in;       ///< written by `train`, no flag: the folder in which relative paths were given
};

struct Config {
  ModelConfig model;
  DataConfig data;
  TransformConfig transform;
  LoaderConfig loader;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  TrainConfig train;
  CheckpointConfig checkpoint;
  RunConfig run;
};

}  // namespace trainyard
