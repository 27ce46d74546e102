// trainyard pack: both splits of any dataset as two packed files, which load faster than many small ones.

#include <array>
#include <filesystem>
#include <memory>
#include <vector>

#include "commands/command.h"
#include "datasets/class_counts.h"
#include "datasets/packed_file.h"
#include "transforms/pack_dataset.h"
#include "util/output.h"
#include "util/output_file.h"

namespace trainyard {
namespace {

class PackCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("folder", folder_, "where train.packed and test.packed are written", {.required = true});
    arguments.add("--as", as_, "keep (files as they are), jpeg (encoded anew) or raw (pixels)",
                  {.one_of = {"keep", "jpeg", "raw"}});
    arguments.add("--transform", options_.transforms,
                  "done to each sample before, as in \"resize(size=256)\"; may be given several times");
    arguments.add("--quality", options_.quality, "of JPEGs", {.range = {{1, 100}}});
    arguments.add("--verify", verify_, "only check the files that are there against their checksums");
  }

  bool product_is_output() const override { return verify_; }

  int run(const Config& config) override {
    options_.as = as_ == "keep" ? PackAs::keep : as_ == "jpeg" ? PackAs::jpeg : PackAs::raw;
    options_.workers = config.loader.workers;
    const std::array splits{Split::train, Split::test};
    std::vector<std::unique_ptr<Dataset>> datasets;  // both first, so that no work is lost where one is not there
    if (!verify_) {
      for (const Split split : splits) {
        datasets.push_back(make_dataset(config.data, split));
        print_what_is_missing(*datasets.back(), to_string(split));
      }
      std::filesystem::create_directories(folder_);
    }
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const auto path = std::filesystem::path(folder_) / fmt::format("{}.packed", to_string(splits[i]));
      if (!verify_) pack_dataset(*datasets[i], options_, replaceable_file(path, "pack"));
      const PackedFile file(path.string());
      if (verify_) file.verify();
      print("{}: {} records, {} bytes{}\n", path.string(), file.records().size(), file.size(),
            verify_ ? ", all checksums right" : "");
      flush_output();
    }
    if (!verify_) print("train on it with --data.name packed --data.root {}\n", folder_);
    return 0;
  }

 private:
  static void print_what_is_missing(const Dataset& dataset, std::string_view split) {
    const std::string left_out = list_left_out(dataset.left_out());
    if (!left_out.empty()) print("{}: left out: {}\n", split, left_out);
    const std::string empty = classes_without_samples(dataset.class_counts(), dataset.class_names());
    if (!empty.empty()) print("{}: {}\n", split, empty);
  }

  std::string folder_;
  std::string as_ = "keep";
  PackOptions options_;
  bool verify_ = false;
};

const CommandRegistry::Registration registered{"pack", "write a dataset as two files that load fast",
                                               [] { return std::make_unique<PackCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
