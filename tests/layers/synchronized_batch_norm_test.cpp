// Compares two shares of a batch with the whole batch, computed by LibTorch's batch norm in float64. The shares are
// computed one after the other: all_reduce() adds what the other share has sent when it was computed before. What a
// share sends in backward depends on what it received in forward, so after three passes both have received everything.

#include "layers/synchronized_batch_norm.h"

#include <vector>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>

#include "layers/batch_norm.h"
#include "support/expect_close.h"

namespace trainyard {
namespace {

enum class Epilogue { none, relu, add_relu };

struct Share {
  at::Tensor x, residual, dy;
};

struct Results {
  at::Tensor y, dx, dresidual, dweight, dbias, running_mean, running_var;
  std::string node;
};

struct Parameters {
  at::Tensor weight, bias;
};

Results run(const Share& share, const Parameters& parameters, Epilogue epilogue, const AllReduce& all_reduce) {
  BatchNorm layer(share.x.size(1));
  layer->to(share.x.device());
  if (share.x.scalar_type() == at::kDouble) layer->to(at::kDouble);
  {
    const at::NoGradGuard no_grad;
    layer->weight.copy_(parameters.weight);
    layer->bias.copy_(parameters.bias);
  }
  if (all_reduce) layer->synchronize(all_reduce);
  const at::Tensor x = share.x.detach().requires_grad_();
  const at::Tensor residual = share.residual.detach().requires_grad_(epilogue == Epilogue::add_relu);
  const at::Tensor y = epilogue == Epilogue::none   ? layer->forward(x)
                       : epilogue == Epilogue::relu ? layer->relu(x)
                                                    : layer->add_relu(x, residual).main;
  const std::string node = y.grad_fn()->name();
  torch::autograd::backward({y}, {share.dy});
  return {.y = y.detach(),
          .dx = x.grad(),
          .dresidual = residual.grad(),
          .dweight = layer->weight.grad(),
          .dbias = layer->bias.grad(),
          .running_mean = layer->running_mean,
          .running_var = layer->running_var,
          .node = node};
}

std::vector<Results> run_shares(const std::vector<Share>& shares, const Parameters& parameters, Epilogue epilogue) {
  std::vector<std::vector<at::Tensor>> sent(shares.size());
  std::vector<Results> results(shares.size());
  for (int pass = 0; pass < 3; ++pass) {
    std::vector<std::vector<at::Tensor>> before = sent;
    for (std::size_t i = 0; i < shares.size(); ++i) {
      sent[i].clear();
      const std::vector<at::Tensor>& others = before[1 - i];
      results[i] = run(shares[i], parameters, epilogue, [&](const at::Tensor& tensor) {
        sent[i].push_back(tensor.clone());
        if (sent[i].size() <= others.size()) tensor.add_(others[sent[i].size() - 1]);
      });
    }
  }
  return results;
}

Share random_share(std::int64_t samples, const std::vector<std::int64_t>& shape, at::ScalarType type,
                   at::Device device) {
  std::vector<std::int64_t> sizes = {samples};
  sizes.insert(sizes.end(), shape.begin(), shape.end());
  const auto random = [&] { return at::randn(sizes).to(device, type).contiguous(at::MemoryFormat::ChannelsLast); };
  return {.x = (random() * 3 + 1).contiguous(at::MemoryFormat::ChannelsLast), .residual = random(), .dy = random()};
}

Share whole(const std::vector<Share>& shares) {
  const auto joined = [&](at::Tensor Share::* part) {
    return at::cat({shares[0].*part, shares[1].*part}).to(at::kDouble);
  };
  return {.x = joined(&Share::x), .residual = joined(&Share::residual), .dy = joined(&Share::dy)};
}

class SynchronizedBatchNorm : public testing::TestWithParam<at::ScalarType> {
 protected:
  // No gradient for values so close to zero, by `margin`, that rounding may change the ReLU's mask.
  static void expect_whole_batch(std::vector<Share> shares, at::Device device, const char* node, double margin = 1e-5) {
    const std::int64_t channels = shares[0].x.size(1);
    const Parameters parameters{.weight = at::rand({channels}).to(device) + 0.5,
                                .bias = at::randn({channels}).to(device)};
    const bool exact = GetParam() == at::kDouble;
    const double tolerance = exact ? 1e-12 : rounding_of(GetParam());
    const double statistics = exact ? 1e-12 : 1e-5;
    for (const Epilogue epilogue : {Epilogue::none, Epilogue::relu, Epilogue::add_relu}) {
      SCOPED_TRACE(static_cast<int>(epilogue));
      const at::Tensor y = run(whole(shares), parameters, Epilogue::none, nullptr).y;
      std::int64_t first = 0;
      for (Share& share : shares) {
        const at::Tensor part = y.narrow(0, first, share.x.size(0));
        first += share.x.size(0);
        share.dy *= (part.abs() > margin).logical_and((part + share.residual).abs() > margin);
      }
      const Results expected = run(whole(shares), parameters, epilogue, nullptr);
      const std::vector<Results> actual = run_shares(shares, parameters, epilogue);
      const auto joined = [&](at::Tensor Results::* part) {
        return (actual[0].*part).defined() ? at::cat({actual[0].*part, actual[1].*part}) : at::Tensor();
      };
      expect_close(joined(&Results::y), expected.y, tolerance, "y");
      expect_close(joined(&Results::dx), expected.dx, tolerance, "dx");
      expect_close(joined(&Results::dresidual), expected.dresidual, tolerance, "dresidual");
      expect_close(actual[0].dweight + actual[1].dweight, expected.dweight, statistics, "dweight");
      expect_close(actual[0].dbias + actual[1].dbias, expected.dbias, statistics, "dbias");
      for (const Results& share : actual) {
        expect_close(share.running_mean, expected.running_mean, statistics, "running_mean");
        expect_close(share.running_var, expected.running_var, statistics, "running_var");
        if (epilogue == Epilogue::none) {
          EXPECT_THAT(share.node, testing::HasSubstr(node));
        }
      }
    }
  }
};

TEST_P(SynchronizedBatchNorm, OfTwoSharesIsThatOfTheWholeBatch) {
  if (GetParam() == at::kHalf || GetParam() == at::kBFloat16) GTEST_SKIP() << "is for a GPU";
  at::manual_seed(1);
  expect_whole_batch(
      {random_share(5, {8, 5, 7}, GetParam(), at::kCPU), random_share(3, {8, 5, 7}, GetParam(), at::kCPU)}, at::kCPU,
      "SynchronizedBatchNorm");
}

TEST_P(SynchronizedBatchNorm, GpuKernelsOfTwoSharesMatchTheWholeBatch) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  if (GetParam() == at::kDouble) GTEST_SKIP() << "has no kernels";
  const at::Device device(at::kCUDA);
  at::manual_seed(1);
  const std::vector<std::vector<std::int64_t>> shapes = {
      {8, 5, 7}, {264, 9, 9}, {2048, 7, 7}, {64, 56, 56}, {64, 128, 128}};
  for (const auto& shape : shapes) {
    SCOPED_TRACE(fmt::format("{} channels", shape[0]));
    expect_whole_batch({random_share(9, shape, GetParam(), device), random_share(4, shape, GetParam(), device)}, device,
                       "FusedBatchNorm");
  }
}

// One value per channel is too few for the kernels: this share uses LibTorch's operators, which round before they add
// the residual, and the other one the kernels.
TEST_P(SynchronizedBatchNorm, GpuKernelsAgreeWithOperatorsOfTheOtherShare) {
  if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
  if (GetParam() == at::kDouble) GTEST_SKIP() << "has no kernels";
  const at::Device device(at::kCUDA);
  at::manual_seed(1);
  expect_whole_batch({random_share(1, {16, 1, 1}, GetParam(), device), random_share(6, {16, 1, 1}, GetParam(), device)},
                     device, "BatchNorm", /*margin=*/0.05);
}

INSTANTIATE_TEST_SUITE_P(Types, SynchronizedBatchNorm,
                         testing::Values(at::kDouble, at::kFloat, at::kHalf, at::kBFloat16),
                         [](const auto& instance) { return std::string(c10::toString(instance.param)); });

}  // namespace
}  // namespace trainyard
