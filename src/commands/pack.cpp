// trainyard pack: writes the splits of any dataset as packed files, which load faster than many small ones.

#include <filesystem>
#include <memory>
#include <vector>

#include "commands/command.h"
#include "datasets/class_counts.h"
#include "datasets/packed_file.h"
#include "training/stop_signal.h"
#include "transforms/pack_dataset.h"
#include "transforms/pipeline.h"
#include "util/atomic_file.h"
#include "util/count_of.h"
#include "util/log.h"
#include "util/output.h"
#include "util/output_file.h"

namespace trainyard {
namespace {

namespace fs = std::filesystem;

class PackCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("folder", folder_,
                  "folder for train.packed, val.packed and test.packed; a split that the data lacks is not written, "
                  "but a table without val divides train by itself (data.val)",
                  {.required = true});
    arguments.add("--as", as_, "keep (files unchanged; the default), jpeg (re-encoded) or raw (pixels)",
                  {.one_of = {"keep", "jpeg", "raw"}});
    arguments.add("--transform", options_.transforms,
                  "transform to apply to each sample first, e.g. \"resize(size=256)\"; may be given several times");
    arguments.add("--quality", quality_, "quality of --as jpeg (90)", {.range = {{1, 100}}});
    arguments.add("--verify", verify_, "only verify the checksums of existing files");
  }

  bool product_is_output() const override { return verify_; }

  bool uses(const std::string& key) const override { return key.starts_with("data.") || key == "loader.workers"; }

  int run(const Config& config) override {
    if (verify_ && !given_settings.empty()) {
      throw UsageError("pack", "--verify only reads what is there; leave out {}", given_settings.front());
    }
    if (verify_ && (!as_.empty() || quality_ != unset || !options_.transforms.empty())) {
      throw UsageError("pack", "--verify only reads what is there; leave out --as, --quality and --transform");
    }
    options_.as = as_.empty() || as_ == "keep" ? PackAs::keep : as_ == "jpeg" ? PackAs::jpeg : PackAs::raw;
    options_.workers = config.loader.workers;
    if (quality_ != unset) options_.quality = quality_;
    if (quality_ != unset && options_.as != PackAs::jpeg) {
      throw UsageError("pack", "--quality is that of JPEGs: add --as jpeg, or leave it out");
    }
    return verify_ ? verify() : pack(splits_of(config.data));
  }

 private:
  struct Made {
    Split split;
    std::unique_ptr<Dataset> dataset;
  };

  int pack(const std::vector<Made>& splits) {
    for (const std::string& random : random_transforms(options_.transforms)) {
      log_warning(
          "[pack] {} is drawn once for each sample, so all epochs will get the same: to draw it anew, leave it to "
          "transform.train",
          random);
    }
    const StopSignal stop_signal;
    options_.stop = stop_signal.token();
    try {
      for (const auto& [split, dataset] : splits) {
        pack_dataset(*dataset, options_, replaceable_file(path_of(split), "pack"));
        print_file(PackedFile(path_of(split).string()), "");
      }
    } catch (const RunError& error) {
      if (!options_.stop.stop_requested()) throw;
      print_error(error.what());
      return 128 + options_.stop.signal();
    }
    print("train on it with --data.name packed --data.root {}\n", folder_);
    return 0;
  }

  int verify() const {
    for (const Split split : all_splits) {
      std::error_code ignored;
      const bool is_there = fs::symlink_status(path_of(split), ignored).type() != fs::file_type::not_found;
      if (!is_there && split != Split::train) continue;
      const PackedFile file(path_of(split).string());
      file.verify();
      print_file(file, ", all checksums right");
    }
    return 0;
  }

  static void print_file(const PackedFile& file, std::string_view more) {
    print("{}: {}, {} bytes{}\n", file.path(), count_of(file.samples(), "record"), file.bytes(), more);
    flush_output();
  }

  fs::path path_of(Split split) const { return fs::path(folder_) / fmt::format("{}.packed", to_string(split)); }

  // Opens the source's own splits before the first is packed, so that no work is lost if one cannot be read. Refuses a
  // leftover file of a split that the source lacks, because it would later be taken for part of the dataset.
  std::vector<Made> splits_of(const DataConfig& config) const {
    std::vector<Made> splits;
    for (const Split split : all_splits) {
      if (std::unique_ptr<Dataset> dataset = make_dataset(config, split)) {
        require_packable(*dataset, options_);
        print_what_is_missing(*dataset, to_string(split));
        splits.push_back({split, std::move(dataset)});
      } else if (fs::exists(path_of(split))) {
        throw UsageError("pack",
                         "{} is there already, but the data has no {} split: remove it, or choose another folder",
                         path_of(split).string(), to_string(split));
      }
    }
    make_folders(folder_);
    return splits;
  }

  static void print_what_is_missing(const Dataset& dataset, std::string_view split) {
    const std::string left_out = list_left_out(dataset.left_out());
    if (!left_out.empty()) print("{}: left out: {}\n", split, left_out);
    const std::string empty = classes_without_samples(dataset.class_counts(), dataset.class_names());
    if (!empty.empty()) print("{}: {}\n", split, empty);
    if (!dataset.warning().empty()) print("{}: {}\n", split, dataset.warning());
    if (dataset.is_taken_from_train()) print("{}: taken out of train (data.val)\n", split);
  }

  static constexpr int unset = -1;

  std::string folder_;
  std::string as_;
  int quality_ = unset;
  PackOptions options_;
  bool verify_ = false;
};

const CommandRegistry::Registration registered{"pack", "write a dataset to files that load fast",
                                               [] { return std::make_unique<PackCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
