#include "config/bind.h"

#include <algorithm>
#include <sstream>
#include <type_traits>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "util/error.h"
#include "util/nearest.h"

namespace trainyard {
namespace {

// A [section] of TOML becomes the first half of a key. CLI11 would take it for a subcommand.
class SectionedToml : public CLI::ConfigTOML {
 public:
  explicit SectionedToml(const CLI::App* app) : app_(app) {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    std::vector<CLI::ConfigItem> keys;
    for (CLI::ConfigItem& item : CLI::ConfigTOML::from_config(input)) {
      if (item.name == "++" || item.name == "--") continue;  // CLI11's marks for the start and end of a section
      for (auto parent = item.parents.rbegin(); parent != item.parents.rend(); ++parent) {
        item.name = *parent + "." + item.name;
      }
      item.parents.clear();
      refuse_unknown(item.name);
      keys.push_back(std::move(item));
    }
    return keys;
  }

 private:
  void refuse_unknown(const std::string& key) const {
    std::vector<std::string> known;
    for (const CLI::Option* option : app_->get_options()) {
      if (option->get_single_name().find('.') != std::string::npos) known.push_back(option->get_single_name());
    }
    if (std::find(known.begin(), known.end(), key) != known.end()) return;
    throw UsageError("config", "there is no key '{}' in a configuration file; did you mean '{}'?", key,
                     nearest_first(key, known).front());
  }

  const CLI::App* app_;
};

// A number from `low` to `high`, both included.
template <typename T>
CLI::Validator from_to(T low, T high) {
  return CLI::Validator(
      [low, high](std::string& text) {
        T value{};
        if (CLI::detail::lexical_cast(text, value) && value >= low && value <= high) return std::string();
        return fmt::format("is {}; allowed is {} from {} to {}", text,
                           std::is_integral_v<T> ? "a whole number" : "a number", low, high);
      },
      fmt::format("{}..{}", low, high));
}

CLI::Validator true_or_false() {
  return CLI::Validator(
      [](std::string& text) {
        bool value = false;
        if (CLI::detail::lexical_cast(text, value)) return std::string();
        return fmt::format("is '{}'; allowed: true, false", text);
      },
      "true, false");
}

CLI::Validator one_of(std::vector<std::string> allowed) {
  const std::string list = fmt::format("{}", fmt::join(allowed, ", "));
  return CLI::Validator(
      [allowed = std::move(allowed), list](std::string& text) {
        if (std::find(allowed.begin(), allowed.end(), text) != allowed.end()) return std::string();
        return fmt::format("is '{}'; allowed, nearest first: {}", text, fmt::join(nearest_first(text, allowed), ", "));
      },
      list);
}

CLI::Validator device_name() {
  return CLI::Validator(
      [](std::string& text) {
        const bool indexed = text.starts_with("cuda:") && text.size() > 5 && text.size() <= 8 &&
                             text.find_first_not_of("0123456789", 5) == std::string::npos;
        if (text == "auto" || text == "cpu" || text == "cuda" || indexed) return std::string();
        return fmt::format("is '{}'; allowed: auto, cpu, cuda, cuda:0, cuda:1, ...", text);
      },
      "auto, cpu, cuda, cuda:N");
}

using Field = std::variant<std::string*, bool*, int*, std::int64_t*, std::uint64_t*, double*, std::vector<std::string>*,
                           std::vector<std::int64_t>*>;

struct Setting {
  std::string key;
  Field field;
  const char* help;
  CLI::Validator allowed;
};

// Every setting, with its field in `c`. Both directions, reading and writing, go through here.
std::vector<Setting> settings_in(Config& c) {
  std::vector<Setting> settings;
  const auto add = [&](const char* key, Field field, const char* help, CLI::Validator allowed) {
    settings.push_back({key, field, help, std::move(allowed)});
  };
  const CLI::Validator any("");
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
  add("data.shape", &c.data.shape, "synthetic only: height, width, channels", from_to<std::int64_t>(1, 65'536));
  add("data.samples", &c.data.samples, "synthetic only: training samples", from_to<std::int64_t>(1, 1'000'000'000));
  add("data.classes", &c.data.classes, "synthetic only: classes", from_to<std::int64_t>(2, 1'000'000));

  add("transform.train", &c.transform.train, "what is done to a training sample, in order", any);
  add("transform.test", &c.transform.test, "what is done to a test sample, in order", any);
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
  add("optimizer.beta1", &c.optimizer.beta1, "adamw, lion: decay of the first moment", from_to(0.0, 1.0));
  add("optimizer.beta2", &c.optimizer.beta2, "adamw: decay of the second moment; lion: of its memory",
      from_to(0.0, 1.0));
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
      from_to<std::uint64_t>(0, 9'007'199'254'740'992));
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
  add("train.log_every", &c.train.log_every, "steps between two lines of metrics.jsonl", from_to(1, 1'000'000));

  add("checkpoint.every_steps", &c.checkpoint.every_steps, "steps between checkpoints; 0: after each epoch only",
      from_to(0, 1'000'000'000));
  add("checkpoint.keep", &c.checkpoint.keep, "newest checkpoints that stay", from_to(1, 1'000'000));
  add("checkpoint.keep_best", &c.checkpoint.keep_best, "keep the one with the best test accuracy too", true_or_false());

  add("run.dir", &c.run.dir, "parent folder of the runs", any);
  add("run.name", &c.run.name, "folder of this run; empty: <data.name>-<model.name>", any);
  add("run.resume", &c.run.resume, "auto (from the run's last checkpoint, if any), never, or a checkpoint's path", any);
  return settings;
}

template <typename T>
std::string toml_value(const T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<T>) {
    return fmt::format("{}", value);  // the shortest text that reads back exactly
  } else if constexpr (std::is_same_v<T, std::string>) {
    return fmt::format("\"{}\"", value);
  } else {
    std::vector<std::string> items;
    for (const auto& item : value) items.push_back(toml_value(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
}

// Every key with its value as TOML.
std::vector<std::pair<std::string, std::string>> values_of(Config config) {
  std::vector<std::pair<std::string, std::string>> values;
  for (const Setting& setting : settings_in(config)) {
    values.emplace_back(setting.key, std::visit([](const auto* field) { return toml_value(*field); }, setting.field));
  }
  return values;
}

}  // namespace

void bind(CLI::App& app, Config& config) {
  for (const Setting& setting : settings_in(config)) {
    const std::string group = "[" + setting.key.substr(0, setting.key.find('.')) + "]";
    const auto add_option = [&](auto* field) { return app.add_option("--" + setting.key, *field, setting.help); };
    CLI::Option* option = std::visit(add_option, setting.field)->group(group)->capture_default_str();
    if (setting.allowed.get_description().empty()) continue;
    option->check(setting.allowed);
    if (!std::holds_alternative<std::string*>(setting.field)) option->type_name("");
  }
  app.get_option("--data.shape")->expected(3)->delimiter(',');
  app.set_config("--config", "", "TOML file with settings; flags beat it")->check(CLI::ExistingFile);
  app.config_formatter(std::make_shared<SectionedToml>(&app));
}

void validate(const Config& config) {
  for (const std::string& name : {config.run.name, config.run.dir, config.model.weights}) {
    if (name.find_first_of("\n\"\\") != std::string::npos) {
      throw UsageError("run", "'{}' cannot be a file's name here: no quotes, backslashes or line ends", name);
    }
  }
  if (config.run.name == "." || config.run.name == ".." || config.run.name.find('/') != std::string::npos) {
    throw UsageError("run.name", "'{}' must be one folder's name; its parent is run.dir", config.run.name);
  }
  if (config.model.reset_head && config.model.weights.empty()) {
    throw UsageError("model.reset_head", "has nothing to leave out without model.weights; give a file, or drop it");
  }
  if (config.schedule.warmup_epochs >= config.train.epochs) {
    throw UsageError("schedule.warmup_epochs", "is {}, but the whole run has {} epochs (train.epochs)",
                     config.schedule.warmup_epochs, config.train.epochs);
  }
}

std::string to_toml(const Config& config) {
  std::string text;
  std::string section;
  for (const auto& [key, value] : values_of(config)) {
    if (value == "[]") continue;  // CLI11 reads an empty list as a list of one empty word
    const std::size_t dot = key.find('.');
    if (key.substr(0, dot) != section) {
      section = key.substr(0, dot);
      text += fmt::format("{}[{}]\n", text.empty() ? "" : "\n", section);
    }
    text += fmt::format("{} = {}\n", key.substr(dot + 1), value);
  }
  return text;
}

std::vector<Difference> differences(const Config& before, const Config& after) {
  const auto old_settings = values_of(before);
  const auto new_settings = values_of(after);
  std::vector<Difference> result;
  for (std::size_t i = 0; i < old_settings.size(); ++i) {
    if (old_settings[i].second == new_settings[i].second) continue;
    result.push_back({old_settings[i].first, old_settings[i].second, new_settings[i].second});
  }
  return result;
}

Config config_from_toml(const std::string& text, const std::string& origin) {
  Config config;
  CLI::App app;
  bind(app, config);
  std::istringstream stream(text);
  try {
    app.parse_from_stream(stream);
  } catch (const CLI::ParseError& error) {
    throw UsageError("config", "{}: {}", origin, error.what());
  }
  return config;
}

}  // namespace trainyard
