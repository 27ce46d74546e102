#include <cmath>

#include <fmt/format.h>
#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/full.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/randn.h>

#include "layers/cuda/gelu_product.h"
#include "support/expect_close.h"

namespace trainyard {
namespace {

struct Shape {
  std::int64_t rows, in, out;
};

class GeluProducts : public testing::TestWithParam<std::tuple<at::ScalarType, bool>> {
 protected:
  void SetUp() override {
    if (!at::hasCUDA()) GTEST_SKIP() << "needs a GPU";
    at::manual_seed(1);
  }

  static constexpr Shape shapes[] = {{1, 8, 8}, {17, 24, 104}, {256, 128, 512}, {1023, 768, 3072}, {4096, 512, 64}};

  static at::ScalarType type() { return std::get<0>(GetParam()); }

  static at::Tensor random(at::IntArrayRef sizes) { return at::randn(sizes).to(at::kCUDA, type()); }
  static at::Tensor empty(at::IntArrayRef sizes) { return at::full(sizes, NAN, random({1}).options()); }

  // Such that products have a standard deviation of 1.5.
  static at::Tensor random_weight(const Shape& shape) {
    const bool transposed = std::get<1>(GetParam());
    const at::Tensor values = at::randn({shape.out, shape.in}) * 1.5 / std::sqrt(static_cast<double>(shape.in));
    const at::Tensor weight = values.to(at::kCUDA, type());
    return transposed ? weight.t().contiguous().t() : weight;
  }

  // cuBLASLt approximates tanh.
  static double tolerance() { return 3 * rounding_of(type()); }

  static at::Tensor exact(const at::Tensor& tensor) { return tensor.to(at::kDouble); }
};

TEST_P(GeluProducts, ApplyBiasAndGelu) {
  int products = 0;
  for (const Shape& shape : shapes) {
    const GeluProduct::Arguments arguments{.x = random({shape.rows, shape.in}),
                                           .weight = random_weight(shape),
                                           .y = empty({shape.rows, shape.out}),
                                           .input = empty({shape.rows, shape.out}),
                                           .bias = random({shape.out})};
    const at::Tensor input = at::linear(exact(arguments.x), exact(arguments.weight), exact(arguments.bias));
    for (const GeluProduct& product : GeluProduct::recommended(GeluEpilogue::gelu, arguments)) {
      SCOPED_TRACE(fmt::format("product {}, {} × {} to {}", ++products, shape.rows, shape.in, shape.out));
      arguments.y.fill_(NAN);
      arguments.input.fill_(NAN);
      product.run(arguments);
      expect_close(arguments.input, input, tolerance(), "input");
      expect_close(arguments.y, at::gelu(input, "tanh"), tolerance(), "y");
    }
  }
  RecordProperty("products", products);
}

TEST_P(GeluProducts, ApplyGelusGradientAndSumItUp) {
  int products = 0;
  for (const Shape& shape : shapes) {
    for (const GeluEpilogue epilogue : {GeluEpilogue::gradient, GeluEpilogue::gradient_and_sum}) {
      const bool sums = epilogue == GeluEpilogue::gradient_and_sum;
      const GeluProduct::Arguments arguments{.x = random({shape.rows, shape.in}),
                                             .weight = random_weight(shape),
                                             .y = empty({shape.rows, shape.out}),
                                             .input = random({shape.rows, shape.out}),
                                             .bias = sums ? empty({shape.out}) : at::Tensor()};
      const at::Tensor dgelu = at::linear(exact(arguments.x), exact(arguments.weight));
      const at::Tensor dinput = at::gelu_backward(dgelu, exact(arguments.input), "tanh");
      for (const GeluProduct& product : GeluProduct::recommended(epilogue, arguments)) {
        SCOPED_TRACE(fmt::format("product {}, {} × {} to {}", ++products, shape.rows, shape.in, shape.out));
        EXPECT_EQ(product.epilogue(), epilogue);
        arguments.y.fill_(NAN);
        product.run(arguments);
        expect_close(arguments.y, dinput, tolerance(), "y");
        if (!sums) continue;
        expect_close(arguments.bias, dinput.sum(0), tolerance(), "bias");
        const at::Tensor sum = arguments.bias.clone();
        product.run(arguments);
        EXPECT_TRUE(at::equal(arguments.bias, sum)) << "other bits";
      }
    }
  }
  RecordProperty("products", products);
}

TEST_P(GeluProducts, AcceptMemoryAlignedTo16Bytes) {
  const Shape shape{64, 128, 256};
  const auto shifted = [](const at::Tensor& tensor) {
    return at::full({tensor.numel() + 8}, NAN, tensor.options()).slice(0, 8).view(tensor.sizes()).copy_(tensor);
  };
  const GeluProduct::Arguments arguments{.x = shifted(random({shape.rows, shape.in})),
                                         .weight = random_weight(shape),
                                         .y = shifted(empty({shape.rows, shape.out})),
                                         .input = shifted(empty({shape.rows, shape.out})),
                                         .bias = shifted(random({shape.out}))};
  const at::Tensor input = at::linear(exact(arguments.x), exact(arguments.weight), exact(arguments.bias));
  for (const GeluProduct& product : GeluProduct::recommended(GeluEpilogue::gelu, arguments)) {
    product.run(arguments);
    expect_close(arguments.y, at::gelu(input, "tanh"), tolerance(), "y");
  }
}

INSTANTIATE_TEST_SUITE_P(GeluProduct, GeluProducts,
                         testing::Combine(testing::Values(at::kHalf, at::kBFloat16), testing::Bool()),
                         [](const auto& instance) {
                           return std::string(c10::toString(std::get<0>(instance.param))) +
                                  (std::get<1>(instance.param) ? "Transposed" : "");
                         });

}  // namespace
}  // namespace trainyard
