// Compares losses, their gradients and metrics with PyTorch and torchmetrics, which is part of build/bin/parity-python.

#include <array>
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include <ATen/ops/rand.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>

#include "checkpoint/safetensors_torch.h"
#include "config/validate.h"
#include "parity/parity.h"
#include "support/error_of.h"
#include "support/image_task.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "tasks/findings.h"
#include "tasks/task.h"
#include "util/error.h"

namespace trainyard {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr int classes = 7;
constexpr std::int64_t ignored = 255;

TaskData segmentation_data() {
  TaskData data = image_data({.channels = 3, .height = 6, .width = 5}, classes);
  data.fields[1] = {.name = "mask", .shape = {6, 5}, .values = ValueRange{.count = classes, .ignored = ignored}};
  return data;
}

TaskData text_data() {
  TaskData data;
  data.fields = {
      {.name = "tokens", .dtype = DType::int32, .shape = {9}, .values = ValueRange{.count = 256, .ignored = -1}}};
  return data;
}

TaskData soft_data() {
  TaskData data = image_data({.channels = 3, .height = 4, .width = 4}, classes);
  data.fields[1] = {.name = "target", .dtype = DType::float32, .shape = {classes}};
  return data;
}

TaskData labels_data() {
  TaskData data = image_data({.channels = 3, .height = 4, .width = 4}, classes);
  data.fields[1] = {.name = "labels", .shape = {classes}, .values = ValueRange{2}};
  data.samples = 20;
  return data;
}

TaskData regression_data() {
  TaskData data = image_data({.channels = 1, .height = 4, .width = 4}, 0);
  data.fields[1] = {.name = "target",
                    .dtype = DType::float32,
                    .shape = {2},
                    .columns = {{.name = "price", .mean = 300, .std = 120}, {.name = "age", .mean = -2, .std = 0.5}}};
  return data;
}

struct Case {
  std::string name;
  std::string flags;
  json options;  ///< the same for the reference
  TaskData data;
  TensorDict batch;
  at::Tensor logits;
};

at::Tensor labels() { return at::randint(0, classes, {16}, at::kLong); }

Case classification(const std::string& name, const std::string& flags, const json& options, TensorDict batch) {
  json all = {{"loss", "cross_entropy"}, {"smoothing", 0}, {"gamma", 2}, {"weights", json::array()}, {"auc", false}};
  if (!options.is_null()) all.update(options);
  const bool soft = batch.contains("target");
  return {name,
          flags,
          all,
          soft ? soft_data() : image_data({.channels = 3, .height = 4, .width = 4}, classes),
          std::move(batch),
          at::randn({16, classes})};
}

Case segmentation(const std::string& name, const std::string& flags, const json& options) {
  json all = {{"dice", 0}, {"weights", json::array()}, {"ignored", ignored}};
  if (!options.is_null()) all.update(options);
  at::Tensor mask = at::randint(0, classes, {4, 6, 5}, at::kLong);
  mask.masked_fill_(at::rand({4, 6, 5}).lt(0.2), ignored);
  mask[1].fill_(3);  // a single class
  return {name,
          "--task.name segmentation " + flags,
          all,
          segmentation_data(),
          {{"mask", mask}},
          at::randn({4, classes, 6, 5})};
}

Case multi_label(const std::string& name, const std::string& flags, const json& options) {
  json all = {{"loss", "bce"}, {"weights", json::array()}};
  if (!options.is_null()) all.update(options);
  const auto draw = [] {
    at::Tensor labels = at::rand({40, classes}).lt(0.3).to(at::kFloat);
    labels.select(1, 4).fill_(0);  // a label without positive samples
    return labels;
  };
  TensorDict batch = {{"labels", draw()}};
  if (all.contains("mixed")) {
    batch.set("other_labels", draw());
    batch.set("share", at::scalar_tensor(0.3F));
  }
  return {name,
          "--task.name multi_label " + flags,
          all,
          labels_data(),
          std::move(batch),
          (at::randn({40, classes}) * 16).round() / 8};  // with ties
}

Case regression(const std::string& name, const std::string& flags, const json& options) {
  const TaskData data = regression_data();
  json all = {{"loss", "mse"}, {"delta", 1}, {"mean", json::array()}, {"std", json::array()}};
  all.update(options);
  std::vector<float> means;
  std::vector<float> stds;
  for (const Column& target : data.fields[1].columns) {
    all["mean"].push_back(target.mean);
    all["std"].push_back(target.std);
    means.push_back(static_cast<float>(target.mean));
    stds.push_back(static_cast<float>(target.std));
  }
  const at::Tensor target = at::randn({16, 2}) * at::tensor(stds) + at::tensor(means);
  return {name, "--task.name regression " + flags, all, data, {{"target", target}}, at::randn({16, 2})};
}

const std::string weights_flag =
    "--task.classification.class_weights 1 --task.classification.class_weights 2 --task.classification.class_weights "
    "0.5 --task.classification.class_weights 1 --task.classification.class_weights 0 "
    "--task.classification.class_weights 3 --task.classification.class_weights 1";

std::vector<Case> cases() {
  at::manual_seed(12);
  const json weights = {1, 2, 0.5, 1, 0, 3, 1};
  const at::Tensor soft = at::rand({16, classes}).softmax(1);
  const auto weights_of = [](const std::string& setting) {
    std::string flags = weights_flag;
    const std::string from = "classification.class_weights";
    for (std::size_t at = 0; (at = flags.find(from, at)) != std::string::npos;) flags.replace(at, from.size(), setting);
    return flags;
  };
  const std::string asymmetric = "--task.multi_label.loss asymmetric ";
  std::vector<Case> all = {
      classification("plain", "--task.classification.auc true", {{"auc", true}}, {{"label", labels()}}),
      classification("smoothed", "--task.classification.label_smoothing 0.1", {{"smoothing", 0.1}},
                     {{"label", labels()}}),
      classification("weighted", weights_flag, {{"weights", weights}}, {{"label", labels()}}),
      classification("focal", "--task.classification.loss focal --task.classification.focal_gamma 1.5",
                     {{"loss", "focal"}, {"gamma", 1.5}}, {{"label", labels()}}),
      classification("focal_weighted", "--task.classification.loss focal " + weights_flag,
                     {{"loss", "focal"}, {"weights", weights}}, {{"label", labels()}}),
      classification("bce", "--task.classification.loss bce --task.classification.label_smoothing 0.1",
                     {{"loss", "bce"}, {"smoothing", 0.1}}, {{"label", labels()}}),
      classification("bce_soft", "--task.classification.loss bce", {{"loss", "bce"}}, {{"target", soft}}),
      classification("soft", "", {}, {{"target", soft}}),
      classification("mixed", "", {},
                     {{"label", labels()}, {"other_label", labels()}, {"share", at::scalar_tensor(0.3F)}}),
      segmentation("pixels", "--task.segmentation.dice 0", {}),
      segmentation("dice", "--task.segmentation.dice 0.7", {{"dice", 0.7}}),
      segmentation("dice_weighted", "--task.segmentation.dice 1 " + weights_of("segmentation.class_weights"),
                   {{"dice", 1}, {"weights", weights}}),
      multi_label("labels", "", {}),
      multi_label("labels_weighted", weights_of("multi_label.positive_weights"), {{"weights", weights}}),
      multi_label("labels_mixed", "", {{"mixed", true}}),
      multi_label("labels_asymmetric", asymmetric,
                  {{"loss", "asymmetric"}, {"gamma_pos", 1}, {"gamma_neg", 4}, {"clip", 0.05}}),
      multi_label("labels_asymmetric_mixed",
                  asymmetric + "--task.multi_label.gamma_pos 0 --task.multi_label.gamma_neg 2.5 "
                               "--task.multi_label.clip 0",
                  {{"loss", "asymmetric"}, {"gamma_pos", 0}, {"gamma_neg", 2.5}, {"clip", 0}, {"mixed", true}}),
  };
  all.push_back(regression("mse", "", {{"loss", "mse"}}));
  all.push_back(regression("l1", "--task.regression.loss l1", {{"loss", "l1"}}));
  all.push_back(regression("huber", "--task.regression.loss huber --task.regression.huber_delta 0.7",
                           {{"loss", "huber"}, {"delta", 0.7}}));
  at::Tensor target = at::randint(0, 256, {3, 8}, at::kLong);
  target[2].narrow(0, 4, 4).fill_(-1);
  all.push_back({"text",
                 "--task.name language_model",
                 {{"ignored", -1}},
                 text_data(),
                 {{"target", target}},
                 at::randn({3, 8, 256})});
  for (Case& one : all) {
    one.options["name"] = one.name;
    one.options["task"] = configured(one.flags).task.name;
  }
  return all;
}

// Returns the metrics of a batch, and the loss with its gradient.
Tensors ours(const Case& one) {
  const auto task = make_task(configured(one.flags).task, one.data, at::kCPU);
  at::Tensor logits = one.logits.detach().clone().set_requires_grad(true);
  const TensorDict outputs = {{"logits", logits}};
  const Loss loss = task->loss(outputs, one.batch, Phase::train);
  loss.mean().backward();
  const MetricSet metrics(task->metrics(Phase::evaluate));
  Tensors result = {{"loss", loss.mean().detach()}, {"gradient", logits.grad()}};
  MetricValues values = metrics.values(metrics.sums_of(outputs, one.batch, loss, 1));
  const CollectedMetrics collected(task->collected_metrics());
  if (!collected.empty()) {
    for (const auto& value : collected.values(collected.rows_of(outputs, one.batch, loss, logits.size(0)))) {
      values.push_back(value);
    }
  }
  for (const auto& [name, value] : values) result["metric." + name] = at::scalar_tensor(value.value(), at::kDouble);
  return result;
}

TEST(Tasks, LossesAndMetricsAreThoseOfPyTorchAndTorchmetrics) {
  const std::string python = TRAINYARD_SOURCE_DIR "/build/bin/parity-python";
  if (!std::filesystem::exists(python)) {
    GTEST_SKIP() << python << " is missing: `scripts/bootstrap parity` installs it, with torchmetrics";
  }
  const TempDir dir;
  const std::vector<Case> all = cases();
  json options = json::array();
  for (const Case& one : all) {
    options.push_back(one.options);
    NamedTensors tensors(one.batch.begin(), one.batch.end());
    tensors.emplace_back("logits", one.logits);
    save_safetensors(dir / (one.name + ".safetensors"), tensors);
  }
  dir.write("cases.json", options.dump());
  const Outcome outcome = run_program({python, TRAINYARD_SOURCE_DIR "/tests/tasks/references.py", dir.path()});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.output;
  for (const Case& one : all) {
    const Tensors actual = ours(one);
    const Tensors expected = load(dir / (one.name + ".expected.safetensors"));
    EXPECT_GE(expected.size(), 4u);
    for (const auto& [name, tensor] : expected) {
      ASSERT_TRUE(actual.contains(name)) << one.name << " " << name;
      const double largest = tensor.to(at::kDouble).abs().max().item<double>();
      const at::Tensor difference = actual.at(name).to(at::kDouble) - tensor.to(at::kDouble);
      EXPECT_LE(difference.abs().max().item<double>(), 2e-6 * std::max(largest, 1e-3)) << one.name << " " << name;
    }
  }
}

TEST(Tasks, AValLossHasNoSmoothing) {
  at::manual_seed(3);
  const auto plain = image_task({.channels = 1, .height = 4, .width = 4});
  const auto smoothed =
      image_task({.channels = 1, .height = 4, .width = 4}, "--task.classification.label_smoothing 0.2");
  const TensorDict outputs = {{"logits", at::randn({8, 10})}};
  const TensorDict batch = {{"label", at::randint(0, 10, {8}, at::kLong)}};
  const auto loss = [&](const Task& task, Phase phase) {
    return task.loss(outputs, batch, phase).mean().item<double>();
  };
  EXPECT_EQ(loss(*smoothed, Phase::evaluate), loss(*plain, Phase::evaluate));
  EXPECT_NE(loss(*smoothed, Phase::train), loss(*plain, Phase::train));
  EXPECT_EQ(smoothed->training_extras(), "label smoothing");
}

TEST(Tasks, BalancedWeightsMakeEveryClassCountTheSame) {
  TaskData data = image_data({.channels = 1, .height = 4, .width = 4}, 3);
  data.class_counts = {1, 2, 0};
  const auto task = make_task(configured("--task.classification.class_weights balanced").task, data, at::kCPU);
  const at::Tensor logits = at::zeros({3, 3});
  const auto weight = [&](std::int64_t label) {
    return task->loss({{"logits", logits}}, {{"label", at::full({3}, label, at::kLong)}}, Phase::train)
        .weight.item<double>();
  };
  EXPECT_DOUBLE_EQ(weight(0), 3);
  EXPECT_DOUBLE_EQ(weight(1), 1.5);
  EXPECT_DOUBLE_EQ(weight(2), 0);
}

TEST(Tasks, BalancedPositiveWeightsAreThoseOfPyTorch) {
  TaskData data = labels_data();  // 20 samples
  data.class_counts = {5, 10, 20, 1, 0, 4, 2};
  const auto task = make_task(configured("--task.name multi_label --task.multi_label.positive_weights balanced").task,
                              data, at::kCPU);
  // A logit of 0 has a loss of log 2 times the weight of the label.
  const auto weight = [&](std::int64_t label) {
    const at::Tensor one = at::zeros({1, classes});
    one.select(1, label).fill_(1);
    return task->loss({{"logits", at::zeros({1, classes})}}, {{"labels", one}}, Phase::train).sum.item<double>() *
               classes / std::log(2.0) -
           (classes - 1);
  };
  EXPECT_NEAR(weight(0), 3, 1e-5);
  EXPECT_NEAR(weight(1), 1, 1e-5);
  EXPECT_NEAR(weight(2), 0, 1e-5);
  EXPECT_NEAR(weight(3), 19, 1e-5);
  EXPECT_NEAR(weight(4), 0, 1e-5);
}

TEST(Tasks, AnAsymmetricLossHasFiniteGradientsForSureAnswers) {
  for (const char* const flags : {"--task.multi_label.gamma_pos 0.5 --task.multi_label.gamma_neg 0.5",
                                  "--task.multi_label.gamma_neg 0 --task.multi_label.clip 0"}) {
    const std::string all = "--task.name multi_label --task.multi_label.loss asymmetric ";
    const auto task = make_task(configured(all + flags).task, labels_data(), at::kCPU);
    const at::Tensor logits = at::tensor({-200.0F, -20.0F, -3.0F, 0.0F, 3.0F, 20.0F, 200.0F}).repeat({2, 1});
    logits.set_requires_grad(true);
    const at::Tensor labels = at::stack({at::zeros({classes}), at::ones({classes})});
    const Loss loss = task->loss({{"logits", logits}}, {{"labels", labels}}, Phase::train);
    loss.mean().backward();
    EXPECT_TRUE(loss.sum.isfinite().item<bool>()) << flags;
    EXPECT_TRUE(logits.grad().isfinite().all().item<bool>()) << flags;
  }
}

TEST(Tasks, SettingsOfAnotherLossAreRefused) {
  const auto error = [](const std::string& task, const std::string& flag) {
    return error_of<UsageError>([&] { configured("--task.name " + task + " --task." + flag); });
  };
  EXPECT_THAT(error("classification", "classification.focal_gamma 3"),
              HasSubstr("--task.classification.focal_gamma is 3.0, and has an effect only if "
                        "task.classification.loss = focal, but that is cross_entropy; set that, or drop it"));
  EXPECT_THAT(error("regression", "regression.huber_delta 0.5"), HasSubstr("--task.regression.huber_delta is"));
  EXPECT_THAT(error("multi_label", "multi_label.gamma_pos 0"), HasSubstr("--task.multi_label.gamma_pos is"));
  EXPECT_THAT(error("multi_label", "multi_label.gamma_neg 0"), HasSubstr("--task.multi_label.gamma_neg is"));
  EXPECT_THAT(error("multi_label", "multi_label.clip 0"), HasSubstr("--task.multi_label.clip is"));
}

TEST(Tasks, WithoutPredictionsSayWhatToOverride) {
  const TaskData tokens{
      .fields = {{.name = "tokens", .dtype = DType::int32, .shape = {9}, .values = ValueRange{.count = 5}}}};
  const auto task = make_task({.name = "language_model"}, tokens, at::kCPU);
  EXPECT_THAT(error_of<UsageError>([&] { task->predict({}, {}); }), HasSubstr("override predict() in its file"));
}

TEST(Tasks, ClassificationNeedsTwoClasses) {
  const TaskData data = image_data({.channels = 1, .height = 4, .width = 4}, 1);
  EXPECT_THAT(error_of<UsageError>([&] { make_task(configured("").task, data, at::kCPU); }),
              AllOf(HasSubstr("[data.root] the data have one class, '"), HasSubstr("give samples of two or more")));
}

TEST(Tasks, WrongClassWeightsAreNamed) {
  const TaskData data = image_data({.channels = 1, .height = 4, .width = 4}, 3);
  const auto error = [&](const std::string& flags) {
    return error_of<UsageError>([&] { make_task(configured(flags).task, data, at::kCPU); });
  };
  EXPECT_THAT(error("--task.classification.class_weights balanced"), HasSubstr("give one number for each of the 3"));
  EXPECT_THAT(error("--task.classification.class_weights 1"), HasSubstr("has 1 number; the data have 3 classes"));
  EXPECT_THAT(error("--task.classification.class_weights -1"), HasSubstr("'-1' is not a weight"));
  const std::string zero = " --task.classification.class_weights 0";
  EXPECT_THAT(error(zero + zero + zero), HasSubstr("is 0 for every class"));
}

TEST(Tasks, DataWithoutTheFieldsOfATaskAreRefused) {
  const auto error = [](const std::string& name, const TaskData& data) {
    return error_of<UsageError>([&] { make_task({.name = name}, data, at::kCPU); });
  };
  const TaskData images = image_data({.channels = 3, .height = 6, .width = 5}, classes);
  EXPECT_THAT(error("segmentation", images), HasSubstr("segmentation needs samples with a field 'mask'; the data have "
                                                       "image (uint8, 6 x 5 x 3), label (int64)"));
  EXPECT_THAT(error("language_model", images), HasSubstr("a field 'tokens'"));
  EXPECT_THAT(error("classification", text_data()), HasSubstr("a field 'image'"));
  EXPECT_THAT(error("classification", segmentation_data()), HasSubstr("a field 'label', or 'target'"));
  EXPECT_THAT(error("multi_label", images), HasSubstr("a field 'labels'"));
  TaskData counts = labels_data();
  counts.fields[1].values = ValueRange{3};
  EXPECT_THAT(error("multi_label", counts), HasSubstr("0 or 1 for each of at least one class"));
  EXPECT_THAT(error("regression", images), HasSubstr("regression needs samples with a field 'target'"));
  TaskData table = regression_data();
  table.fields[0] = {.name = "numeric", .dtype = DType::float32, .shape = {3}};
  EXPECT_EQ(make_task({.name = "regression"}, table, at::kCPU)->model_input().fields[0].name, "numeric");
  table.fields[0] = {.name = "categorical", .dtype = DType::int64, .shape = {3}};
  EXPECT_THAT(error("regression", table), HasSubstr("of int64 with a range in 'categorical'"));
  table.fields[0].name = "sound";
  EXPECT_THAT(error("regression", table), HasSubstr("a field 'image', or 'numeric' or 'categorical' of a table"));
  EXPECT_THAT(error("clasification", images), HasSubstr("nearest first: classification"));
  TaskData other_size = segmentation_data();
  other_size.fields[1].shape = {5, 5};
  EXPECT_THAT(error("segmentation", other_size), HasSubstr("a mask of the image's size"));
}

// The result must not depend on how the samples are divided into batches, nor on the distance of the target from 0.
TEST(Tasks, FiguresOfARegressionAreThoseOfAllSamplesTogether) {
  const TaskData data = regression_data();
  const auto task = make_task({.name = "regression"}, data, at::kCPU);
  const MetricSet metrics(task->metrics(Phase::evaluate));
  at::manual_seed(2);
  const at::Tensor target = at::randn({12, 2}) * at::tensor({120.F, 0.5F}) + at::tensor({300.F, -2.F});
  const at::Tensor logits = at::randn({12, 2});
  const auto sums = [&](std::int64_t begin, std::int64_t count) {
    const TensorDict batch = {{"target", target.narrow(0, begin, count)}};
    const TensorDict outputs = {{"logits", logits.narrow(0, begin, count)}};
    return metrics.sums_of(outputs, batch, task->loss(outputs, batch, Phase::evaluate), count);
  };
  const MetricValues whole = metrics.values(sums(0, 12));
  const MetricValues parts = metrics.values(sums(0, 5) + sums(5, 1) + sums(6, 6));
  for (std::size_t i = 0; i < whole.size(); ++i) {
    EXPECT_NEAR(*whole[i].second, *parts[i].second, 1e-6 * std::abs(*whole[i].second)) << whole[i].first;
  }
  const auto r2 = [&](const at::Tensor& guess, const at::Tensor& truth) {
    const TensorDict batch = {{"target", truth}};
    const TensorDict outputs = {{"logits", guess}};
    return metrics.values(metrics.sums_of(outputs, batch, task->loss(outputs, batch, Phase::evaluate), 12))[1].second;
  };
  const at::Tensor constant = at::tensor({420.F, -1.5F}).expand({12, 2});
  EXPECT_EQ(r2(at::full({12, 2}, 1.0F), constant), 1) << "as scikit-learn has it of a target without variance";
  EXPECT_EQ(r2(at::full({12, 2}, 1.5F), constant), 0);
}

TEST(Tasks, PredictionsOfARegressionAreInTheTargetsUnits) {
  const auto task = make_task({.name = "regression"}, regression_data(), at::kCPU);
  const std::vector<Prediction> predictions =
      task->predict({{"logits", at::tensor({0.5F, -1.F}).view({1, 2})}}, PredictOptions());
  ASSERT_EQ(predictions.size(), 1u);
  EXPECT_EQ(predictions[0].text, "           360  price\n          -2.5  age\n");
  EXPECT_EQ(predictions[0].json["predictions"][1]["value"], -2.5);
}

TEST(Tasks, RegressionKeepsTheDigitsOfLargeTargets) {
  TaskData data = regression_data();
  data.fields[1] = {.name = "target",
                    .dtype = DType::float64,
                    .shape = {1},
                    .columns = {{.name = "time", .mean = 1'700'000'000, .std = 4}}};
  const auto task = make_task({.name = "regression"}, data, at::kCPU);
  const DeviceBatch raw{.fields = {{.name = "image", .data = at::zeros({2, 4, 4, 1}, at::kByte)},
                                   {.name = "target", .data = at::tensor({1'700'000'001.0, 1'699'999'997.0})}},
                        .number = 0,
                        .count = 2};
  const TensorDict batch = task->prepare(raw);
  const TensorDict outputs = {{"logits", at::tensor({0.25F, -0.25F}).view({2, 1})}};
  const MetricSet metrics(task->metrics(Phase::evaluate));
  const Loss loss = task->loss(outputs, batch, Phase::evaluate);
  EXPECT_DOUBLE_EQ(loss.mean().item<double>(), 0.125);
  EXPECT_DOUBLE_EQ(value_of(metrics.values(metrics.sums_of(outputs, batch, loss, 2)), "mae").value(), 1);
  EXPECT_EQ(task->predict(outputs, PredictOptions())[0].text, "    1700000001  time\n");

  const auto evaluation = task->evaluation(1);
  evaluation->add(raw, batch, outputs, std::array<std::uint64_t, 2>{0, 1});
  const auto model = make_model({.name = "linear"}, task->model_input());
  EXPECT_EQ(evaluation->findings(*model).worst.at(0).caption, "time is 1699999997, predicted 1699999999");
}

TEST(Tasks, MetricsOfNoSampleHaveNoValue) {
  const auto none = [](const MetricValues& values) {
    for (const auto& [name, value] : values) EXPECT_EQ(value, std::nullopt) << name;
  };
  for (const auto& [flags, data] : {std::pair("--task.name classification --task.classification.auc true",
                                              image_data({.channels = 1, .height = 4, .width = 4}, 3)),
                                    {"--task.name regression", regression_data()},
                                    {"--task.name segmentation", segmentation_data()},
                                    {"--task.name multi_label", labels_data()},
                                    {"--task.name language_model", text_data()}}) {
    const auto task = make_task(configured(flags).task, data, at::kCPU);
    const MetricSet metrics(task->metrics(Phase::evaluate));
    none(metrics.values(at::zeros({metrics.size()}, at::kDouble)));
    const CollectedMetrics collected(task->collected_metrics());
    none(collected.values(at::zeros({0, collected.columns()})));
  }
}

TEST(Tasks, SegmentationWarnsOfClassesWithoutPixels) {
  const auto task = make_task({.name = "segmentation"}, segmentation_data(), at::kCPU);
  const MetricSet metrics(task->metrics(Phase::evaluate));
  const TensorDict outputs = {{"logits", at::zeros({2, classes, 6, 5})}};
  const auto warnings = [&](const at::Tensor& mask) {
    const TensorDict batch = {{"mask", mask}};
    return metrics.warnings(metrics.sums_of(outputs, batch, task->loss(outputs, batch, Phase::evaluate), 2));
  };
  const at::Tensor all = at::arange(60, at::kLong).remainder(classes).view({2, 6, 5});
  EXPECT_THAT(warnings(all), testing::IsEmpty());
  const at::Tensor binary = all.gt(0).to(at::kLong) * ignored;
  ASSERT_EQ(warnings(binary).size(), 1u);
  EXPECT_THAT(warnings(binary)[0], AllOf(HasSubstr("classes have no pixels: "), HasSubstr("write 1 for 255")));
}

TEST(Tasks, RegressionWarnsOfAConstantTarget) {
  const auto task = make_task({.name = "regression"}, regression_data(), at::kCPU);
  const MetricSet metrics(task->metrics(Phase::evaluate));
  const TensorDict outputs = {{"logits", at::zeros({3, 2})}};
  const auto warnings = [&](std::vector<float> targets) {
    const TensorDict batch = {{"target", at::tensor(targets).view({3, 2})}};
    return metrics.warnings(metrics.sums_of(outputs, batch, task->loss(outputs, batch, Phase::evaluate), 3));
  };
  EXPECT_THAT(warnings({1, 2, 3, 4, 5, 6}), testing::IsEmpty());
  EXPECT_THAT(warnings({1, 2, 3, 2, 5, 2}), testing::ElementsAre(HasSubstr("the target 'age' is constant")));
}

TEST(Tasks, ATableHasNoImagesToMix) {
  TaskData data = image_data({.channels = 1, .height = 4, .width = 4}, 3);
  data.fields[0] = {.name = "numeric", .dtype = DType::float32, .shape = {3}};
  const auto error = [&](const std::string& flags) {
    return error_of<UsageError>([&] { make_task(configured(flags).task, data, at::kCPU); });
  };
  EXPECT_THAT(error("--task.classification.mixup 0.2"), HasSubstr("mixup and cutmix mix images"));
  EXPECT_THAT(error("--task.classification.cutmix 1"), HasSubstr("mixup and cutmix mix images"));
}

TEST(Tasks, AWindowOfTokensIsInputAndTarget) {
  const auto task = make_task({.name = "language_model"}, text_data(), at::kCPU);
  const at::Tensor tokens = at::tensor({1, 2, 3, 4, 5, 6, -1, -1, -1}, at::kInt).view({1, 9});
  const TensorDict batch = task->prepare({.fields = {{.name = "tokens", .data = tokens}}, .number = 0, .count = 1});
  EXPECT_TRUE(at::equal(batch.at("tokens"), at::tensor({1, 2, 3, 4, 5, 6, 0, 0}, at::kLong).view({1, 8})));
  EXPECT_TRUE(at::equal(batch.at("target"), at::tensor({2, 3, 4, 5, 6, -1, -1, -1}, at::kLong).view({1, 8})));
  const Loss loss = task->loss({{"logits", at::zeros({1, 8, 256})}}, batch, Phase::train);
  EXPECT_DOUBLE_EQ(loss.weight.item<double>(), 5);
}

// Labels out of range would be computed with, and on a GPU end the process.
TEST(Classification, RefusesLabelsThatAreNoClasses) {
  using Change = void (*)(TaskData&);
  for (const Change change : std::initializer_list<Change>{
           [](TaskData& data) { data.fields[1].values.reset(); },
           [](TaskData& data) { data.fields[1].dtype = DType::uint8; },
           [](TaskData& data) { data.fields[1].shape = {1}; },
           [](TaskData& data) { data.class_names.pop_back(); },
       }) {
    TaskData data = image_data({.channels = 1, .height = 8, .width = 8}, 3);
    change(data);
    EXPECT_THAT(error_of<UsageError>([&] { make_task(TaskConfig(), data, at::kCPU); }),
                AllOf(HasSubstr("needs a field 'label' of type int64"), HasSubstr("the data have label")));
  }
}

}  // namespace
}  // namespace trainyard
