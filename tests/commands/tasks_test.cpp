// Runs each task from training to prediction through the program.

#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "images/decode_image.h"
#include "images/encode_png.h"
#include "support/idx_files.h"
#include "support/subprocess.h"
#include "support/table_files.h"
#include "support/task_data.h"
#include "support/temp_dir.h"
#include "support/tiny_training.h"
#include "util/system.h"

namespace trainyard {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class TaskCommands : public testing::Test {
 protected:
  Outcome train(const std::string& name, const std::vector<std::string>& flags) const {
    return run_program(tiny_training(dir_ / "runs", name, "2", flags));
  }

  static Outcome run(const std::vector<std::string>& words) {
    std::vector<std::string> command = {TRAINYARD_BINARY};
    command.insert(command.end(), words.begin(), words.end());
    return run_program(command);
  }

  std::vector<std::string> segmentation() const {
    return {"--task.name",         "segmentation",
            "--data.name",         "image_masks",
            "--data.root",         dir_ / "scenes",
            "--data.val",          "8",
            "--model.name",        "unet",
            "--model.unet.width",  "8",
            "--model.unet.depth",  "2",
            "--data.channels",     "1",
            "--optimizer.name",    "adamw",
            "--optimizer.lr",      "0.01",
            "--loader.batch_size", "4"};
  }

  std::vector<std::string> multi_label() const {
    return {
        "--task.name",      "multi_label", "--data.name",    "image_labels", "--data.root",         dir_ / "labelled",
        "--data.channels",  "1",           "--data.val",     "16",           "--model.name",        "convnet",
        "--optimizer.name", "adamw",       "--optimizer.lr", "0.01",         "--loader.batch_size", "8"};
  }

  std::vector<std::string> regression() const {
    return {"--task.name",         "regression", "--data.name",       "csv",   "--data.root",    dir_ / "table",
            "--data.csv.target",   "price",      "--data.csv.ignore", "size",  "--model.name",   "mlp",
            "--loader.batch_size", "16",         "--optimizer.name",  "adamw", "--optimizer.lr", "0.01"};
  }

  std::vector<std::string> language_model() const {
    return {"--task.name",         "language_model",
            "--data.name",         "text",
            "--data.root",         dir_ / "text",
            "--data.text.context", "16",
            "--model.name",        "gpt",
            "--model.gpt.layers",  "1",
            "--model.gpt.heads",   "2",
            "--model.gpt.width",   "32",
            "--optimizer.name",    "adamw",
            "--optimizer.lr",      "0.01"};
  }

  TempDir dir_;
};

TEST_F(TaskCommands, SegmentationTrainsIsEvaluatedAndWritesMasks) {
  write_scenes(dir_, "scenes", 40);
  const Outcome trained = train("s", segmentation());
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("val/miou "), HasSubstr("best           val/miou")));
  EXPECT_THAT(
      read_text_file(dir_ / "runs/s/metrics.csv", "test"),
      StartsWith("epoch,step,train/loss,train/miou,train/pixel_accuracy,val/loss,val/miou,val/pixel_accuracy,lr"));

  const json evaluated = json::parse(run({"eval", dir_ / "runs/s", "--split", "val", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["metrics"], json({"loss", "miou", "pixel_accuracy"}));
  std::int64_t pixels = 0;
  for (const json& one : evaluated["classes"]) pixels += one["samples"].get<std::int64_t>();
  EXPECT_EQ(pixels, 8 * (16 * 16 - 6)) << "the corner has no class";
  EXPECT_THAT(run({"eval", dir_ / "runs/s", "--split", "val"}).output, HasSubstr("\n  lowest mean IoU\n"));
  EXPECT_THAT(
      read_text_file(dir_ / "runs/s/report.html", "test"),
      AllOf(HasSubstr(R"("worst_title":"lowest mean IoU")"), HasSubstr(R"("worst_images":"image, mask, guess")")));

  const Outcome predicted =
      run({"predict", dir_ / "runs/s", dir_ / "scenes/train/images/00.png", "--output", dir_ / "masks", "--json"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.output;
  const std::string png = read_text_file(json::parse(predicted.output)["output"], "test");
  EXPECT_EQ(decode_image(std::as_bytes(std::span(png)), 3, "mask").width, 16u);
  EXPECT_THAT(png, HasSubstr("PLTE"));
  const Outcome refused = run({"predict", dir_ / "runs/s", dir_ / "scenes/train/images/00.png", "--tokens", "3"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output,
              HasSubstr("--tokens means nothing to segmentation, which takes --output, --mirror; leave"));
}

TEST_F(TaskCommands, MultiLabelTrainsIsEvaluatedAndNamesLabels) {
  write_labelled_images(dir_, "labelled", 96);
  const Outcome trained = train("m", multi_label());
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("val/map "), HasSubstr("best           val/map")));
  const std::string csv = read_text_file(dir_ / "runs/m/metrics.csv", "test");
  EXPECT_THAT(csv, StartsWith("epoch,step,train/loss,train/macro_f1,train/micro_f1,train/subset_accuracy,"
                              "val/loss,val/macro_f1,val/micro_f1,val/subset_accuracy,val/map,lr"));
  EXPECT_THAT(read_text_file(dir_ / "runs/m/report.html", "test"),
              AllOf(HasSubstr("average_precision"), HasSubstr("\"val/map\"")));

  const std::string best = dir_ / "runs/m/checkpoints/best";
  const json evaluated = json::parse(run({"eval", best, "--split", "val", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["metrics"], json({"loss", "macro_f1", "micro_f1", "subset_accuracy", "map"}));
  EXPECT_EQ(evaluated["monitor"], "map");
  double mean = 0;
  for (const json& label : evaluated["classes"]) mean += label["average_precision"].get<double>() / 2;
  EXPECT_NEAR(evaluated["val/map"].get<double>(), mean, 1e-9) << "of both labels, over all batches";
  const json manifest = json::parse(read_text_file(best + "/manifest.json", "test"), nullptr, false);
  EXPECT_NEAR(manifest["best"]["metrics"]["val/map"].get<double>(), mean, 1e-9);
  EXPECT_THAT(run({"eval", best, "--split", "val"}).output,
              AllOf(HasSubstr("val/map"), HasSubstr("average_precision"), HasSubstr("most wrong")));
  EXPECT_EQ(run({"eval", best, "--mirror"}).exit_code, 0);

  const std::string image = dir_ / "labelled/train/00.png";
  const json predicted = json::parse(run({"predict", dir_ / "runs/m", image, "--json"}).output, nullptr, false);
  ASSERT_TRUE(predicted["predictions"].is_array());
  for (const json& label : predicted["predictions"]) EXPECT_GT(label["probability"].get<double>(), 0.5);
  EXPECT_THAT(run({"predict", dir_ / "runs/m", image}).output, HasSubstr(" %"));
}

TEST_F(TaskCommands, RegressionOfATableTrainsIsEvaluatedAndPredictsRows) {
  write_table(dir_, "table/train.csv", 300);
  write_table(dir_, "table/test.csv", 50);
  const Outcome trained = train("r", regression());
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("val/r2 "), HasSubstr("best           val/r2")));
  EXPECT_THAT(read_text_file(dir_ / "runs/r/metrics.csv", "test"),
              StartsWith("epoch,step,train/loss,train/r2,train/mae,train/rmse,val/loss,val/r2,val/mae,val/rmse,lr"));

  const json evaluated = json::parse(run({"eval", dir_ / "runs/r", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["metrics"], json({"loss", "r2", "mae", "rmse"}));
  EXPECT_EQ(evaluated["samples"], 50);
  const json& target = evaluated["targets"][0];
  EXPECT_EQ(target["name"], "price");
  EXPECT_NEAR(target["r2"].get<double>(), evaluated["test/r2"].get<double>(), 1e-6);
  EXPECT_NEAR(target["rmse"].get<double>(), evaluated["test/rmse"].get<double>(), 1e-4);
  std::int64_t errors = 0;
  for (const json& samples : target["errors"]["samples"]) errors += samples.get<std::int64_t>();
  EXPECT_EQ(errors, 50);
  EXPECT_EQ(target["truth"].size(), 50u);

  dir_.write("rows.csv", "d,c,b,a\n1,y,120,0.5\n9,?,120,0.5\n1,y,,0.5\n1,z,110,1\n");
  const Outcome predicted = run({"predict", dir_ / "runs/r", dir_ / "rows.csv", "--json"});
  EXPECT_EQ(predicted.exit_code, 1) << predicted.output;
  EXPECT_THAT(
      predicted.output,
      AllOf(HasSubstr("rows.csv:4] the column 'b' has '', which is not a number"),
            HasSubstr("rows.csv: the column 'c' has 1 of 3 rows with values that train lacks, e.g. '?'; they")));
  std::vector<json> rows;
  std::istringstream lines(predicted.output);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('{')) rows.push_back(json::parse(line));
  }
  ASSERT_EQ(rows.size(), 4u);
  EXPECT_EQ(rows[0]["file"], dir_ / "rows.csv" + ":2");
  EXPECT_EQ(rows[1]["predictions"][0]["target"], "price") << "of categories that train does not have, too";
  EXPECT_TRUE(rows[2].contains("error"));
  EXPECT_TRUE(rows[3]["predictions"][0]["value"].is_number());

  dir_.write("empty.csv", "d,c,b,a\n");
  const Outcome empty = run({"predict", dir_ / "runs/r", dir_ / "empty.csv"});
  EXPECT_EQ(empty.exit_code, 1);
  EXPECT_THAT(empty.output, HasSubstr("empty.csv has no rows after its header"));
  dir_.write("broken.csv", "d,c,b,a\n1,y,120,0.5\n1,z,110,1\n1,z\n1,y,120,0.5\n");
  const Outcome broken = run({"predict", dir_ / "runs/r", dir_ / "broken.csv"});
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_THAT(broken.output, AllOf(HasSubstr("broken.csv:2\n"), HasSubstr("broken.csv:3\n"),
                                   HasSubstr("broken.csv:4] "), Not(HasSubstr("broken.csv:5"))))
      << "the rows before the one that is broken are predicted";

  const std::string cut = R"(exec 3> >(true); wait $!; "$0" predict "$1" "$2" >&3; echo $?)";
  EXPECT_EQ(run_program({"bash", "-c", cut, TRAINYARD_BINARY, dir_ / "runs/r", dir_ / "table/test.csv"}).output,
            "141\n");

  // Another train.csv has other statistics, so the model would get other values for the same row.
  write_table(dir_, "other/train.csv", 250);
  const Outcome other = run({"eval", dir_ / "runs/r", "--data.root", dir_ / "other"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("other names, statistics or categories"));

  // The predictions for the test rows give the error that eval has reported.
  double sum = 0;
  std::istringstream all(run({"predict", dir_ / "runs/r", dir_ / "table/test.csv", "--json"}).output);
  std::size_t i = 0;
  for (std::string line; std::getline(all, line); ++i) {
    sum += std::abs(json::parse(line)["predictions"][0]["value"].get<double>() - target["truth"][i].get<double>());
  }
  EXPECT_EQ(i, 50u);
  EXPECT_NEAR(sum / 50, evaluated["test/mae"].get<double>(), 1e-3);
}

TEST_F(TaskCommands, AnEvaluationWithAnInfiniteLossIsNotPerfect) {
  for (const auto& [name, rows] : {std::pair("train", 60), {"val", 20}, {"test", 20}}) {
    const std::string path = fmt::format("table/{}.csv", name);
    write_table(dir_, path, rows);
    if (name == std::string("train")) continue;
    dir_.write(path, read_text_file(dir_ / path, "test") + "1e30,x,120,0,1,large\n");
  }
  const Outcome trained = train("inf", regression());
  EXPECT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("[training] val/loss is inf after epoch 1: "), HasSubstr("test/loss inf"),
                                    HasSubstr("on all 21 samples"), testing::Not(HasSubstr("r2 1.0"))));
  const Outcome other = run({"eval", dir_ / "runs/inf", "--task.regression.loss", "l1"});
  EXPECT_EQ(other.exit_code, 2);
  EXPECT_THAT(other.output, HasSubstr("[task.regression.loss] is \"l1\", and the checkpoint was trained with \"mse\""));
  const json evaluated = json::parse(run({"eval", dir_ / "runs/inf", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["samples"], 21);
  EXPECT_FALSE(evaluated["test/r2"].is_number() && evaluated["test/r2"].get<double>() > 0) << evaluated["test/r2"];
}

TEST_F(TaskCommands, PredictReportsAModelThatHasDiverged) {
  write_table(dir_, "table/train.csv", 60);
  std::vector<std::string> flags = regression();
  flags.back() = "1000000";  // optimizer.lr
  flags.insert(flags.end(), {"--model.mlp.depth", "8", "--train.on_nonfinite", "skip"});
  const Outcome trained = train("diverged", flags);
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  dir_.write("rows.csv", "d,c,b,a\n1,y,120,0.5\n");
  const Outcome predicted = run({"predict", dir_ / "runs/diverged", dir_ / "rows.csv"});
  EXPECT_EQ(predicted.exit_code, 1);
  EXPECT_THAT(predicted.output, HasSubstr("rows.csv:2: the model gives numbers that are not finite"));
}

TEST_F(TaskCommands, RegressionOfImagesTrainsIsEvaluatedAndPredicts) {
  for (const auto& [stem, count] : {std::pair("train", 60U), {"t10k", 12U}}) {
    std::string pixels;
    for (std::uint32_t i = 0; i < count * 784; ++i) pixels += static_cast<char>(i % 784 / 28 < 14 ? 200 : i % 40);
    dir_.write(fmt::format("garments/{}-images-idx3-ubyte", stem), idx_file({count, 28, 28}, pixels));
    dir_.write(fmt::format("garments/{}-labels-idx1-ubyte", stem), idx_file({count}, std::string(count, '\1')));
  }
  const Outcome trained =
      train("p", {"--task.name", "regression", "--data.name", "rotated_garments", "--data.root", dir_ / "garments",
                  "--data.rotated_garments.samples", "40", "--model.name", "linear", "--optimizer.lr", "1e-4"});
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const json evaluated = json::parse(run({"eval", dir_ / "runs/p", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["targets"][0]["name"], "angle in degrees");
  EXPECT_THAT(evaluated["worst"][0]["caption"].get<std::string>(), StartsWith("angle in degrees is "));
  dir_.write("a.png", encode_png({40, 40, 1, std::vector<std::byte>(1600)}));
  const Outcome predicted = run({"predict", dir_ / "runs/p", dir_ / "a.png"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.output;
  EXPECT_THAT(predicted.output, HasSubstr("  angle in degrees\n"));
}

TEST_F(TaskCommands, ATableIsClassifiedToo) {
  write_table(dir_, "table/train.csv", 300);
  std::vector<std::string> flags = regression();
  flags[1] = "classification";
  *std::find(flags.begin(), flags.end(), "--data.csv.target") = "--data.csv.label";
  *std::find(flags.begin(), flags.end(), "price") = "size";
  *(std::find(flags.begin(), flags.end(), "--data.csv.ignore") + 1) = "price";
  const Outcome trained = train("c", flags);
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const Outcome evaluated = run({"eval", dir_ / "runs/c", "--json"});
  EXPECT_EQ(evaluated.exit_code, 0);
  EXPECT_THAT(evaluated.output, HasSubstr(R"("unit": "samples")"));
  const Outcome predicted = run({"predict", dir_ / "runs/c", dir_ / "table/train.csv"});
  ASSERT_EQ(predicted.exit_code, 0) << predicted.output;
  EXPECT_THAT(predicted.output, AllOf(HasSubstr("train.csv:301\n"), HasSubstr("%  large\n")));
}

TEST_F(TaskCommands, APackedTableTrainsTheSameWeights) {
  write_table(dir_, "table/train.csv", 120);
  ASSERT_EQ(train("a", regression()).exit_code, 0);
  std::vector<std::string> pack = {"pack", dir_ / "packed"};
  std::vector<std::string> flags = regression();
  for (std::size_t i = 0; i < flags.size(); i += 2) {
    if (flags[i].starts_with("--data.")) pack.insert(pack.end(), {flags[i], flags[i + 1]});
  }
  const Outcome packed = run(pack);
  ASSERT_EQ(packed.exit_code, 0) << packed.output;
  const Outcome trained =
      train("b", {"--task.name", "regression", "--data.name", "packed", "--data.root", dir_ / "packed", "--model.name",
                  "mlp", "--loader.batch_size", "16", "--optimizer.name", "adamw", "--optimizer.lr", "0.01"});
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const auto weights = [&](const std::string& name) {
    return read_text_file(dir_ / ("runs/" + name + "/checkpoints/last/model.safetensors"), "test");
  };
  EXPECT_TRUE(weights("a") == weights("b"));
}

TEST_F(TaskCommands, LanguageModelTrainsIsEvaluatedAndContinuesPrompts) {
  write_text(dir_, "text", 4000);
  const Outcome trained = train("t", language_model());
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  EXPECT_THAT(trained.output, AllOf(HasSubstr("val/bits_per_byte"), HasSubstr("best           val/loss")));

  const json evaluated = json::parse(run({"eval", dir_ / "runs/t", "--json"}).output, nullptr, false);
  ASSERT_TRUE(evaluated.is_object());
  EXPECT_EQ(evaluated["metrics"], json({"loss", "perplexity", "bits_per_byte"}));
  EXPECT_NEAR(evaluated["val/perplexity"].get<double>(), std::exp(evaluated["val/loss"].get<double>()), 1e-6);
  EXPECT_EQ(evaluated["texts"].size(), 1u);
  EXPECT_EQ(evaluated["unit"], "samples");

  const Outcome mirrored = run({"eval", dir_ / "runs/t", "--mirror"});
  EXPECT_EQ(mirrored.exit_code, 2);
  EXPECT_THAT(mirrored.output, HasSubstr("no use for mirrored images"));

  const std::vector<std::string> predict = {"predict", dir_ / "runs/t", "abc", "--tokens", "20", "--seed",
                                            "3",       "--temperature", "0.5"};
  const Outcome first = run(predict);
  ASSERT_EQ(first.exit_code, 0) << first.output;
  EXPECT_THAT(first.output, StartsWith("abc"));
  EXPECT_EQ(run(predict).output, first.output) << "the same seed";
  EXPECT_NE(run({"predict", dir_ / "runs/t", "abc", "--tokens", "20", "--seed", "4"}).output, first.output);
  const Outcome refused = run({"predict", dir_ / "runs/t", "abc", "--top", "3"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.output, HasSubstr("--top means nothing to language_model, which takes --tokens, --temperature"));

  dir_.write("prompts", "dog \n\n" + std::string(10'000, 'x') + "\n");
  const Outcome piped = run_program(
      {"sh", "-c",
       std::string(TRAINYARD_BINARY) + " predict " + dir_ / "runs/t" + " - --tokens 1 --json < " + dir_ / "prompts"});
  EXPECT_EQ(piped.exit_code, 0) << piped.output;
  EXPECT_THAT(piped.output, AllOf(HasSubstr(R"({"prompt":"dog ","text":"dog )"), HasSubstr(R"({"prompt":"","text":")"),
                                  HasSubstr(std::string(10'000, 'x'))));
  EXPECT_EQ(std::count(piped.output.begin(), piped.output.end(), '\n'), 3);
}

TEST_F(TaskCommands, ABadPromptOfTokensDoesNotEndTheOthers) {
  std::string tokens;
  for (int i = 0; i < 2000; ++i) tokens += {static_cast<char>(i % 7), '\0'};
  dir_.write("tokens/train.bin", tokens);
  std::vector<std::string> flags = language_model();
  for (std::string& flag : flags)
    flag = flag == "text" ? "tokens" : flag == "--data.text.context" ? "--data.tokens.context" : flag;
  *(std::find(flags.begin(), flags.end(), "--data.root") + 1) = dir_ / "tokens";
  flags.insert(flags.end(), {"--data.tokens.vocabulary", "7"});
  const Outcome trained = train("k", flags);
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const Outcome outcome = run({"predict", dir_ / "runs/k", "1", "zz", "4", "--tokens", "2", "--json"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr(R"({"prompt":"1","text":"1 )"),
                                    HasSubstr(R"({"prompt":"zz","error":"[predict] 'zz' is not a token)"),
                                    HasSubstr(R"({"prompt":"4","text":"4 )")));
}

TEST_F(TaskCommands, ATaskThatTheDataDoNotFitIsRefusedBeforeTraining) {
  const Outcome outcome = train("x", {"--task.name", "segmentation", "--model.name", "unet"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.output, HasSubstr("[task.name] segmentation needs samples with a field 'mask'; the data have"));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "runs/x"));
}

TEST_F(TaskCommands, AModelOfAnotherTaskIsRefusedWithTheShapes) {
  write_scenes(dir_, "scenes", 20);
  std::vector<std::string> flags = segmentation();
  for (auto flag = flags.begin(); flag != flags.end();) {
    flag = flag->starts_with("--model.unet") ? flags.erase(flag, flag + 2) : flag + 1;
  }
  *(std::find(flags.begin(), flags.end(), "--model.name") + 1) = "convnet";
  const Outcome outcome = train("y", flags);
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, HasSubstr("'convnet' returns [1, 3] float as 'logits' for one sample; the task needs "
                                        "floating-point scores of [1, 3, 16, 16]"));
}

TEST_F(TaskCommands, AModelThatNoMemoryHoldsIsAnErrorThatSaysWhatToLower) {
  dir_.write("tokens/train.bin", std::string(4000, '\0'));
  const Outcome outcome =
      train("large", {"--task.name", "language_model", "--data.name", "tokens", "--data.root", dir_ / "tokens",
                      "--data.tokens.vocabulary", "2000000000", "--data.tokens.context", "8", "--data.val", "100",
                      "--model.name", "gpt", "--model.gpt.width", "4096"});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("[libtorch] there is no memory for a tensor of 32768000000000 bytes"),
                                    HasSubstr("lower loader.batch_size")));
}

}  // namespace
}  // namespace trainyard
