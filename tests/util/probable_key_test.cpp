#include "util/probable_key.h"

#include <gtest/gtest.h>

namespace trainyard {
namespace {

const std::vector<std::string> keys{"train.epochs",      "train.steps_per_epoch", "train.clip_grad_norm",
                                    "train.seed",        "train.profile",         "checkpoint.every_steps",
                                    "loader.batch_size", "optimizer.lr",          "optimizer.adamw.lr"};

TEST(ProbableKey, FindsTyposAndWrongSections) {
  EXPECT_EQ(probable_key("train.epohcs", keys), "train.epochs");
  EXPECT_EQ(probable_key("tarin.seed", keys), "train.seed");
  EXPECT_EQ(probable_key("train.epoch", keys), "train.epochs") << "rather than another key that has this word";
  EXPECT_EQ(probable_key("batch_size", keys), "loader.batch_size");
  EXPECT_EQ(probable_key("train.batch-size", keys), "loader.batch_size");
  EXPECT_EQ(probable_key("lr", keys), "optimizer.lr") << "rather than that of a component";
}

TEST(ProbableKey, FindsWordsInAnyOrder) {
  EXPECT_EQ(probable_key("train.grad_clip", keys), "train.clip_grad_norm");
  EXPECT_EQ(probable_key("trainer.max_epochs", keys), "train.epochs");
  EXPECT_EQ(probable_key("train.max_steps", keys), "train.steps_per_epoch") << "rather than one of another section";
}

TEST(ProbableKey, IsNoneIfNoKeyIsAlike) {
  for (const char* const key : {"train.amp", "train.compile", "x", ""})
    EXPECT_EQ(probable_key(key, keys), std::nullopt);
}

}  // namespace
}  // namespace trainyard
