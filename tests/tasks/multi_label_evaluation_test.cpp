#include "tasks/multi_label_evaluation.h"

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>

#include "support/small_model.h"

namespace trainyard {
namespace {

using nlohmann::ordered_json;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> names = {"cat", "dog", "eel"};

// Evaluates the logits and labels of all samples in batches of two.
Findings findings_of(const at::Tensor& logits, const at::Tensor& labels, std::size_t worst, double threshold = 0.5) {
  const auto evaluation = multi_label_evaluation(names, threshold, worst);
  for (std::int64_t first = 0; first < logits.size(0); first += 2) {
    const DeviceBatch raw{
        .fields = {{.name = "image", .data = at::zeros({2, 4, 4, 1}, at::kByte)}}, .number = first / 2, .count = 2};
    const auto index = static_cast<std::uint64_t>(first);
    evaluation->add(raw, {{"labels", labels.narrow(0, first, 2)}}, {{"logits", logits.narrow(0, first, 2)}},
                    std::array{index, index + 1});
  }
  return evaluation->findings(*small_model());
}

// cat: one of two is found. dog: the one is found, with one false positive. eel: never present, never predicted.
const at::Tensor logits = at::tensor({2.0F, 3.0F, -3.0F,    //
                                      -1.0F, 1.0F, -3.0F,   //
                                      -4.0F, -4.0F, -3.0F,  //
                                      -2.0F, -3.0F, -2.0F})
                              .view({4, 3});
const at::Tensor labels = at::tensor({1.0F, 1.0F, 0.0F,  //
                                      1.0F, 0.0F, 0.0F,  //
                                      0.0F, 0.0F, 0.0F,  //
                                      0.0F, 0.0F, 0.0F})
                              .view({4, 3});

TEST(MultiLabelEvaluation, HasARowPerLabel) {
  const Findings found = findings_of(logits, labels, 0);
  ASSERT_EQ(found.classes.size(), 3u);
  EXPECT_EQ(found.classes[0], ordered_json({{"name", "cat"},
                                            {"samples", 2},
                                            {"guesses", 1},
                                            {"average_precision", 1.0},
                                            {"f1", 2.0 / 3},
                                            {"precision", 1.0},
                                            {"recall", 0.5}}));
  EXPECT_EQ(found.classes[1]["precision"], 0.5);
  EXPECT_EQ(found.classes[1]["recall"], 1.0);
  EXPECT_EQ(found.classes[2], ordered_json({{"name", "eel"},
                                            {"samples", 0},
                                            {"guesses", 0},
                                            {"average_precision", nullptr},
                                            {"f1", nullptr},
                                            {"precision", nullptr},
                                            {"recall", nullptr}}));
  EXPECT_TRUE(found.confusion.empty());
  EXPECT_EQ(found.ranked_by, "average_precision");
}

TEST(MultiLabelEvaluation, ShowsTheSamplesWithMissedAndWrongLabels) {
  const Findings found = findings_of(logits, labels, 5);
  ASSERT_EQ(found.worst.size(), 1u) << "those without a mistake are not shown";
  EXPECT_EQ(found.worst[0].index, 1);
  EXPECT_EQ(found.worst[0].caption, "missed cat (26.9 %); wrong dog (73.1 %)");
  EXPECT_EQ(found.worst[0].figures, ordered_json({{"labels", {0}}, {"guesses", {1}}}));
  EXPECT_EQ(found.worst[0].image.height, 4u);
}

TEST(MultiLabelEvaluation, FollowsTheThreshold) {
  const Findings found = findings_of(logits, labels, 5, 0.8);
  EXPECT_EQ(found.classes[1]["precision"], 1.0);
  EXPECT_EQ(found.worst.at(0).caption, "missed cat (26.9 %)");
}

TEST(MultiLabelPredictions, ListTheLabelsAboveTheThreshold) {
  const at::Tensor probabilities = at::tensor({0.75F, 0.2F, 0.875F, 0.5F, 0.25F, 0.1F}).view({2, 3});
  const std::vector<Prediction> found = multi_label_predictions(probabilities, names, 0.5);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].text, "   87.50 %  eel\n   75.00 %  cat\n");
  EXPECT_EQ(found[0].json, ordered_json({{"predictions",
                                          {{{"class", "eel"}, {"index", 2}, {"probability", 0.875}},
                                           {{"class", "cat"}, {"index", 0}, {"probability", 0.75}}}}}));
  EXPECT_EQ(found[1].text, "  no label above 50.00 %\n");
  EXPECT_EQ(found[1].json, ordered_json({{"predictions", ordered_json::array()}}));
}

}  // namespace
}  // namespace trainyard
