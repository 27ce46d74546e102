// trainyard data: reads and decodes every sample once, and lists those that cannot be read.

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "commands/command.h"
#include "datasets/splits.h"
#include "loader/split_summary.h"
#include "util/count_of.h"
#include "util/json_text.h"
#include "util/log.h"
#include "util/ordered_producers.h"
#include "util/output.h"
#include "util/printable.h"

namespace trainyard {
namespace {

constexpr std::size_t table_rows = 30;

struct BadSample {
  std::size_t index;
  std::string name;
  std::string error;
};

/// Reads single samples, with images whole and at their original size.
class SampleReader {
 public:
  explicit SampleReader(const Dataset& dataset) : dataset_(dataset) {}

  /// Throws what the dataset throws, and RunError for a value that its field does not allow.
  void read(std::size_t index) {
    const std::vector<FieldContent> contents = pipeline_.read_any_size(dataset_, index, 0, 0);
    for (std::size_t i = 0; i < contents.size(); ++i) {
      check_values(dataset_, index, i, field_of(dataset_.fields()[i], contents[i]), contents[i].bytes);
    }
  }

 private:
  const Dataset& dataset_;
  TransformPipeline pipeline_;
};

// Reads in separate processes, so that a decoder that crashes costs only the sample it was reading.
std::vector<BadSample> bad_samples_of(const Dataset& dataset, int workers) {
  SampleReader reader(dataset);
  OrderedProducers producers(
      dataset.size(), std::max(workers, 1),
      [&](std::size_t index) {
        reader.read(index);
        return std::span<const std::byte>();
      },
      "data");
  std::vector<BadSample> bad;
  for (std::size_t index = 0; index < dataset.size(); ++index) {
    try {
      producers.next();
    } catch (const Error& error) {
      bad.push_back({index, printable(dataset.name(index), 1024), error.what()});
    }
  }
  return bad;
}

class DataCommand : public Command {
 public:
  void bind(Arguments& arguments) override {
    arguments.add("checkpoint", checkpoint_, "a run's folder, or one of its checkpoints, whose data to read");
    arguments.add("--json", json_, "print everything as JSON");
    arguments.add("-v,--verbose", verbose_, "also show all classes, and what is ignored without a warning");
  }

  std::string checkpoint() const override { return checkpoint_; }

  bool uses(const std::string& key) const override { return key.starts_with("data.") || key == "loader.workers"; }

  int run(const Config& config) override {
    std::vector<LoadedSplit> splits;
    for (SplitDataset& made : make_splits(config.data)) {
      splits.push_back({.dataset = std::move(made.dataset), .transforms = {}, .from_train = made.from_train});
    }
    const std::vector<SplitInfo> infos = describe(splits);
    if (!json_) print_data(config, infos);
    nlohmann::ordered_json json = to_json(infos);
    std::size_t unreadable = 0;
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const std::vector<BadSample> bad = bad_samples_of(*splits[i].dataset, config.loader.workers);
      unreadable += bad.size();
      nlohmann::ordered_json& list = json["splits"][i]["unreadable"] = nlohmann::ordered_json::array();
      for (const auto& [index, name, error] : bad) list.push_back({{"index", index}, {"name", name}, {"error", error}});
      if (!json_) print_bad(to_string(static_cast<Split>(i)), infos[i].size, bad);
    }
    if (json_) write_output(json_text(json, 2) + "\n");
    flush_output();
    return unreadable == 0 ? 0 : static_cast<int>(ExitCode::run_failed);
  }

 private:
  void print_data(const Config& config, const std::vector<SplitInfo>& splits) const {
    print("{:<8}{}\n", "fields", describe(splits.front().fields));
    for (std::size_t i = 0; i < splits.size(); ++i) {
      const char* const name = to_string(static_cast<Split>(i));
      print("{:<8}{}\n", name, summary_of(splits[i]));
      for (const std::string& line : warnings_about(name, splits[i])) log_warning(line);
      for (const LeftOut& one : splits[i].left_out) {
        const bool quiet = one.reason == litter_reason || one.reason == unneeded_reason;
        if (verbose_ && quiet)
          print("        {}: {} (first {})\n", one.reason, one.count, printable(one.first.front()));
      }
    }
    for (const std::string& line : warnings_about(splits.front().fields)) log_warning(line);
    for (const std::string& line : warnings_about(config.data, splits)) log_warning(line);
    if (const std::string note = note_on_test(splits); !note.empty()) print("{:<8}{}\n", "test", note);
    const auto counted = [](const SplitInfo& split) { return !split.class_counts.empty(); };
    if (std::all_of(splits.begin(), splits.end(), counted)) print_classes(splits);
    flush_output();
  }

  // In their order, or only the classes with the fewest samples if there are too many.
  void print_classes(const std::vector<SplitInfo>& splits) const {
    const SplitInfo& train = splits.front();
    std::vector<std::size_t> order(train.class_names.size());
    std::iota(order.begin(), order.end(), 0);
    print("\n");
    if (!verbose_ && order.size() > table_rows) {
      std::stable_sort(order.begin(), order.end(),
                       [&](auto a, auto b) { return train.class_counts[a] < train.class_counts[b]; });
      order.resize(table_rows);
      print("  the {} of {} classes with the fewest samples (-v or --json has all)\n", order.size(),
            train.class_names.size());
    }
    std::vector<std::string> names;
    std::size_t width = 5;
    for (const std::size_t label : order) {
      names.push_back(printable(train.class_names[label]));
      width = std::max(width, names.back().size());
    }
    print("  {:<{}}", "class", width);
    for (std::size_t i = 0; i < splits.size(); ++i) print("  {:>9}", to_string(static_cast<Split>(i)));
    print("\n");
    for (std::size_t i = 0; i < order.size(); ++i) {
      print("  {:<{}}", names[i], width);
      for (const SplitInfo& split : splits) print("  {:>9}", split.class_counts[order[i]]);
      print("\n");
    }
    print("\n");
  }

  static void print_bad(const char* split, std::uint64_t samples, const std::vector<BadSample>& bad) {
    if (bad.empty()) {
      print("{:<8}all {} can be read\n", split, count_of(samples, "sample"));
    } else {
      print("{:<8}{} of {} cannot be read:\n", split, bad.size(), count_of(samples, "sample"));
    }
    for (const auto& [index, name, error] : bad) print("  {:>8}  {}\n", index, describe_bad(name, error));
    flush_output();
  }

  // Only the error, if it names the sample.
  static std::string describe_bad(const std::string& name, const std::string& error) {
    return error.find(name) != std::string::npos ? error : fmt::format("{}: {}", name, error);
  }

  std::string checkpoint_;
  bool json_ = false;
  bool verbose_ = false;
};

const CommandRegistry::Registration registered{"data", "read every sample once and list what cannot be read",
                                               [] { return std::make_unique<DataCommand>(); }, __FILE__};

}  // namespace
}  // namespace trainyard
