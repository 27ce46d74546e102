#include "config/settings.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/nearest.h"

namespace trainyard {
namespace {

Allowed any_text() {
  return {.words = "text in quotes", .hint = "TEXT", .holds = [](const Value&) { return true; }};
}

// A number from `low` to `high`, both included. NaN is none.
template <typename T>
Allowed from_to(T low, T high) {
  return {.words = fmt::format("{} from {} to {}", std::is_integral_v<T> ? "a whole number" : "a number", low, high),
          .hint = fmt::format("{}..{}", low, high),
          .holds = [low, high](const Value& value) {
            const auto* real = std::get_if<double>(&value.of);
            if (real) return *real >= static_cast<double>(low) && *real <= static_cast<double>(high);
            const std::int64_t whole = std::get<std::int64_t>(value.of);
            if constexpr (std::is_integral_v<T>) return whole >= low && whole <= high;
            return static_cast<double>(whole) >= static_cast<double>(low) &&
                   static_cast<double>(whole) <= static_cast<double>(high);
          }};
}

Allowed list_of(std::size_t items, Allowed each) {
  each.items = items;
  each.hint += ",...";
  return each;
}

Allowed true_or_false() {
  return {.words = "true, false", .hint = "true|false", .holds = [](const Value&) { return true; }};
}

Allowed one_of(const std::vector<std::string>& allowed) {
  return {.words = fmt::format("{}", fmt::join(allowed, ", ")),
          .hint = fmt::format("{}", fmt::join(allowed, "|")),
          .holds =
              [allowed](const Value& value) {
                const auto* text = std::get_if<std::string>(&value.of);
                return std::find(allowed.begin(), allowed.end(), text ? *text : toml_value(value)) != allowed.end();
              },
          .choices = allowed};
}

Allowed device_name() {
  return {
      .words = "auto, cpu, cuda, cuda:0, cuda:1, ...", .hint = "auto|cpu|cuda|cuda:N", .holds = [](const Value& value) {
        const std::string& text = std::get<std::string>(value.of);
        const bool indexed = text.starts_with("cuda:") && text.size() > 5 && text.size() <= 8 &&
                             text.find_first_not_of("0123456789", 5) == std::string::npos;
        return text == "auto" || text == "cpu" || text == "cuda" || indexed;
      }};
}

}  // namespace

std::vector<Setting> settings_in(Config& c) {
  std::vector<Setting> settings;
  const auto add = [&](const char* key, Field field, const char* help, Allowed allowed) {
    settings.push_back({key, field, help, std::move(allowed)});
  };
  const Allowed any = any_text();
  add("model.name", &c.model.name, "model to train (trainyard list models)", any);
  add("model.stem", &c.model.stem, "first layers of a ResNet; small is for 28 to 64 px", one_of({"standard", "small"}));
  add("model.patch_size", &c.model.patch_size, "ViT: side of a patch in pixels", from_to(1, 1024));
  add("model.weights", &c.model.weights, "safetensors file to begin from, as torchvision's or timm's", any);
  add("model.reset_head", &c.model.reset_head, "with model.weights: draw the last layer anew", true_or_false());

  add("data.name", &c.data.name, "dataset (trainyard list datasets)", any);
  add("data.root", &c.data.root, "folder of the dataset; empty: looked for in data/ and the distribution's folder",
      any);
  add("data.channels", &c.data.channels, "channels of image files: 3 (RGB) or 1 (grey)", one_of({"1", "3"}));
  add("data.max_pixels", &c.data.max_pixels, "larger image files are refused; the default is Pillow's limit",
      from_to<std::int64_t>(1, std::int64_t{1} << 32));
  add("data.exif_orientation", &c.data.exif_orientation,
      "turn image files upright, as their EXIF orientation asks; false gives the pixels of torchvision's ImageFolder",
      true_or_false());
  add("data.val", &c.data.val,
      "validation samples to take out of train if the data has no val split: a share if below 1, otherwise a number",
      from_to(1e-6, 1e12));
  add("data.val_seed", &c.data.val_seed, "which samples data.val takes; independent of train.seed",
      from_to<std::int64_t>(0, std::numeric_limits<std::int64_t>::max()));
  add("data.shape", &c.data.shape, "synthetic only: height, width, channels, as 28,28,1",
      list_of(3, from_to<std::int64_t>(1, 65'536)));
  add("data.samples", &c.data.samples, "synthetic only: samples of train, val included",
      from_to<std::int64_t>(1, 1'000'000'000));
  add("data.classes", &c.data.classes, "synthetic only: classes", from_to<std::int64_t>(2, 1'000'000));

  add("transform.train", &c.transform.train,
      "what is done to a training sample, in order; one flag for each; \"\": nothing", any);
  add("transform.test", &c.transform.test,
      "what is done to a val or test sample, in order; one flag for each; \"\": nothing", any);
  add("transform.decode", &c.transform.decode, "JPEGs that become smaller: exact, or scaled (faster, softer)",
      one_of({"exact", "scaled"}));

  add("loader.workers", &c.loader.workers, "worker processes; 0 loads in the training process", from_to(0, 256));
  add("loader.batch_size", &c.loader.batch_size, "samples a step", from_to(1, 1 << 20));
  add("loader.drop_last", &c.loader.drop_last, "training: leave out an epoch's last batch if it is incomplete",
      true_or_false());
  add("loader.prefetch", &c.loader.prefetch, "batches prepared ahead", from_to(1, 1024));
  add("loader.timeout", &c.loader.timeout, "seconds a worker may take for one sample", from_to(0.1, 86'400.0));
  add("loader.cache", &c.loader.cache,
      "read every sample once and keep it: shm, in shared memory; gpu, transformed, on the GPU",
      one_of({"none", "shm", "gpu"}));
  add("loader.cache_name", &c.loader.cache_name,
      "shm: runs with one name share what they keep; it stays as /dev/shm/trainyard-cache-<name>-* until removed", any);
  add("loader.on_worker_error", &c.loader.on_worker_error,
      "a worker is lost or a sample unreadable: stop; retry it 3 times, then stop; retry, then skip the sample",
      one_of({"stop", "retry", "skip"}));

  add("optimizer.name", &c.optimizer.name, "optimizer (trainyard list optimizers)", any);
  add("optimizer.lr", &c.optimizer.lr, "peak learning rate", from_to(0.0, 1e6));
  add("optimizer.momentum", &c.optimizer.momentum, "sgd: momentum", from_to(0.0, 1.0));
  add("optimizer.nesterov", &c.optimizer.nesterov, "sgd: Nesterov's momentum", true_or_false());
  add("optimizer.weight_decay", &c.optimizer.weight_decay, "weight decay", from_to(0.0, 1e3));
  add("optimizer.decay_bias_norm", &c.optimizer.decay_bias_norm, "weight decay on biases, norms, embeddings too",
      true_or_false());
  add("optimizer.beta1", &c.optimizer.beta1, "adamw, lion: decay of the first moment", from_to(0.0, 0.999999));
  add("optimizer.beta2", &c.optimizer.beta2, "adamw: decay of the second moment; lion: of its memory",
      from_to(0.0, 0.999999));
  add("optimizer.eps", &c.optimizer.eps, "adamw: added to the denominator", from_to(0.0, 1.0));

  add("schedule.name", &c.schedule.name, "learning rate over the run",
      one_of({"constant", "cosine", "step", "one_cycle"}));
  add("schedule.warmup_epochs", &c.schedule.warmup_epochs, "epochs of linear warm-up", from_to(0.0, 1e6));
  add("schedule.step_epochs", &c.schedule.step_epochs, "step: epochs between two drops", from_to(1e-3, 1e6));
  add("schedule.gamma", &c.schedule.gamma, "step: factor of a drop", from_to(0.0, 1.0));
  add("schedule.pct_start", &c.schedule.pct_start, "one_cycle: share of the steps that rise", from_to(0.0, 1.0));
  add("schedule.div_factor", &c.schedule.div_factor, "one_cycle: peak over first rate", from_to(1.0, 1e9));
  add("schedule.final_div_factor", &c.schedule.final_div_factor, "one_cycle: first over last rate", from_to(1.0, 1e12));

  add("train.epochs", &c.train.epochs, "passes over the training set", from_to(1, 1'000'000));
  add("train.device", &c.train.device, "where to train", device_name());
  add("train.precision", &c.train.precision, "arithmetic of the step", one_of({"fp32", "tf32", "bf16", "fp16"}));
  add("train.seed", &c.train.seed, "fixes weights, order and augmentation",
      from_to<std::int64_t>(0, std::numeric_limits<std::int64_t>::max()));
  add("train.label_smoothing", &c.train.label_smoothing, "share of the target spread over all classes",
      from_to(0.0, 0.999));
  add("train.mixup", &c.train.mixup, "alpha of mixup; 0: none", from_to(0.0, 4.0));
  add("train.cutmix", &c.train.cutmix, "alpha of cutmix; 0: none", from_to(0.0, 4.0));
  add("train.accumulate", &c.train.accumulate, "batches whose gradients make one step", from_to(1, 65'536));
  add("train.clip_grad_norm", &c.train.clip_grad_norm, "largest norm of all gradients; 0: no limit", from_to(0.0, 1e9));
  add("train.ema_decay", &c.train.ema_decay, "decay of averaged weights, as 0.999; 0: none", from_to(0.0, 0.999999));
  add("train.on_nonfinite", &c.train.on_nonfinite, "a loss that is NaN or infinite: end the run, or pass the step over",
      one_of({"stop", "skip"}));
  add("train.deterministic", &c.train.deterministic, "the same bits in every run on a GPU too; slower",
      true_or_false());
  add("train.cuda_graph", &c.train.cuda_graph,
      "on a GPU, capture the step once and replay it; false for a model that decides on the CPU", true_or_false());
  add("train.threads", &c.train.threads, "CPU threads of the training process; 0: all cores", from_to(0, 4096));
  add("train.patience", &c.train.patience, "epochs without a better val result after which to stop; 0: never",
      from_to(0, 1'000'000));
  add("train.log_every", &c.train.log_every, "steps between two lines of metrics.jsonl", from_to(1, 1'000'000));

  add("checkpoint.every_steps", &c.checkpoint.every_steps, "steps between checkpoints; 0: after each epoch only",
      from_to(0, 1'000'000'000));
  add("checkpoint.keep", &c.checkpoint.keep, "newest checkpoints that stay", from_to(1, 1'000'000));
  add("checkpoint.keep_best", &c.checkpoint.keep_best, "keep the one that is best on val too", true_or_false());

  add("run.dir", &c.run.dir, "parent folder of the runs", any);
  add("run.name", &c.run.name, "folder of this run; empty: <data.name>-<model.name>", any);
  add("run.resume", &c.run.resume, "auto (from the run's last checkpoint, if any), never, or a checkpoint's path", any);
  add("run.started_in", &c.run.started_in, "written by train: the folder in which relative paths were given", any);
  settings.back().flag = false;
  return settings;
}

const Setting* find_setting(const std::vector<Setting>& settings, const std::string& key) {
  const auto found =
      std::find_if(settings.begin(), settings.end(), [&](const Setting& setting) { return setting.key == key; });
  return found == settings.end() ? nullptr : &*found;
}

std::vector<std::string> nearest_keys(const std::string& key) {
  constexpr std::size_t wrong_section = 3;
  const auto field = [](const std::string& whole) { return whole.substr(whole.find('.') + 1); };
  Config config;
  std::vector<std::pair<std::size_t, std::string>> ranked;
  for (const Setting& setting : settings_in(config)) {
    if (!setting.flag) continue;
    ranked.emplace_back(
        std::min(edit_distance(key, setting.key), edit_distance(field(key), field(setting.key)) + wrong_section),
        setting.key);
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<std::string> keys;
  for (auto& [distance, name] : ranked) keys.push_back(std::move(name));
  return keys;
}

}  // namespace trainyard
