#include "tasks/generate.h"

#include <gmock/gmock.h>

#include "models/model_module.h"
#include "support/error_of.h"
#include "tasks/findings.h"
#include "util/error.h"

namespace trainyard {
namespace {

using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;

// Predicts with certainty that the next token is one more than the last. Fails for windows longer than 4.
class Counting : public ModelModule {
 public:
  Counting() : weight(register_parameter("weight", at::zeros({1}))) {}
  TensorDict forward(const TensorDict& batch) override {
    const at::Tensor tokens = batch.at("tokens");
    EXPECT_LE(tokens.size(1), 4);
    const at::Tensor next = tokens.add(1).remainder(10).unsqueeze(2);
    return {{"logits", at::zeros({tokens.size(0), tokens.size(1), 10}).scatter_(2, next, 1000.0)}};
  }

 private:
  at::Tensor weight;
};

TEST(Generate, ContinuesFromTheLastTokensOfTheContext) {
  Counting model;
  for (const double temperature : {0.0, 1.0}) {
    EXPECT_THAT(generate(model, {3}, 4, {.tokens = 9, .temperature = temperature}),
                ElementsAre(4, 5, 6, 7, 8, 9, 0, 1, 2));
  }
  EXPECT_TRUE(model.is_training());
}

TEST(DrawToken, FollowsTheProbabilities) {
  const at::Tensor logits = at::tensor({0.1, 0.6, 0.3}, at::kDouble).log();
  EXPECT_EQ(draw_token(logits, 0, 0, 0.99), 1) << "temperature 0 takes the likeliest";
  EXPECT_EQ(draw_token(logits, 1, 0, 0.59), 1);
  EXPECT_EQ(draw_token(logits, 1, 0, 0.61), 2);
  EXPECT_EQ(draw_token(logits, 1, 0, 0.91), 0);
  EXPECT_EQ(draw_token(logits, 1, 2, 0.99), 2) << "among the two likeliest";
  EXPECT_EQ(draw_token(logits, 0.01, 0, 0.99), 1) << "a low temperature";
}

TEST(NumbersIn, ReadsTokensAndNamesWhatIsNone) {
  EXPECT_THAT(numbers_in("17 4 291", 300), ElementsAre(17, 4, 291));
  for (const char* text : {"17 x", "300", "-1", "1.5"}) {
    EXPECT_THAT(error_of<UsageError>([&] { numbers_in(text, 300); }), HasSubstr("from 0 to 299")) << text;
  }
  EXPECT_THAT(byte_tokens("a\xff"), ElementsAre(97, 255));
}

}  // namespace
}  // namespace trainyard
