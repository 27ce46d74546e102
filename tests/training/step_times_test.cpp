#include "training/step_times.h"

#include <gmock/gmock.h>

#include <ATen/ops/matmul.h>
#include <ATen/ops/randn.h>
#include <torch/csrc/autograd/profiler_kineto.h>

#include "training/recording.h"

namespace trainyard {
namespace {

using testing::Contains;
using testing::Field;
using testing::StartsWith;

constexpr std::int64_t ms = 1'000'000;

RecordedCall operation(const char* name, std::int64_t begin, std::int64_t end, std::uint64_t thread = 1) {
  return {.name = name, .begin_ns = begin * ms, .end_ns = end * ms, .thread = thread};
}

RecordedCall kernel(const char* name, std::int64_t begin, std::int64_t end) {
  return {.name = name, .begin_ns = begin * ms, .end_ns = end * ms, .on_gpu = true};
}

TEST(KindOfOperation, KnowsOperationsAndKernels) {
  const std::vector<std::pair<const char*, OperationKind>> names = {
      {"aten::conv2d", OperationKind::convolution},
      {"autograd::engine::evaluate_function: ConvolutionBackward0", OperationKind::convolution},
      {"sm80_xmma_wgrad_implicit_gemm_indexed_bf16bf16_bf16f32_f32_nhwckrsc_nhwc", OperationKind::convolution},
      {"void cudnn::ops::nchwToNhwcKernel<float, float, float, false, true>", OperationKind::convolution},
      {"aten::addmm", OperationKind::matrix_product},
      {"MmBackward0", OperationKind::matrix_product},
      {"nvjet_hsh_128x256_64x4_1x2_h_bz_coopA_NNT", OperationKind::matrix_product},
      {"void cutlass__5x_cudnn::Kernel<cutlass_tensorop_bf16_s16816dgrad_optimized_bf16_128x128_32x5_nhwc>",
       OperationKind::convolution},
      {"sm90_xmma_gemm_bf16bf16_bf16f32_f32_tn_n_tilesize128x128x64", OperationKind::matrix_product},
      {"void cublasLt::splitKreduce_kernel<32, 16, int>", OperationKind::matrix_product},
      {"aten::scaled_dot_product_attention", OperationKind::attention},
      {"cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_3_64x128x128_4x1x1_kernel0_0",
       OperationKind::attention},
      {"trainyard::(anonymous namespace)::attention_heads_gradient_kernel(trainyard::AttentionHeadsBackward, long)",
       OperationKind::attention},
      {"void trainyard::(anonymous namespace)::short_attention_kernel<__nv_bfloat16, 2u, "
       "64u>(trainyard::ShortAttention)",
       OperationKind::attention},
      {"void cudnn::fusion::compute_dot_do_o_specialized<true, 64>(void const*)", OperationKind::attention},
      {"void cudnn::fusion::convert_dq_to_16bits<true>(void const*)", OperationKind::attention},
      {"void trainyard::(anonymous namespace)::cross_entropy_gradient_kernel<__nv_bfloat16, 256u>(trainyard::Logits)",
       OperationKind::elementwise},
      {"void pytorch_flash::flash_bwd_dq_dk_dv_loop_seqk_parallel_kernel<...>", OperationKind::attention},
      {"aten::native_batch_norm", OperationKind::normalization},
      {"trainyard::(anonymous namespace)::store_moments_kernel(trainyard::BatchNormMoments, long)",
       OperationKind::normalization},
      {"void trainyard::(anonymous namespace)::sum_rows_kernel<float>(void const*, long, unsigned int, "
       "trainyard::RowPartition, float*)",
       OperationKind::normalization},
      {"trainyard::(anonymous namespace)::max_pool_kernel(trainyard::Pooling)", OperationKind::pooling},
      {"aten::upsample_bilinear2d", OperationKind::pooling},
      {"aten::relu", OperationKind::elementwise},
      {"void at::native::reduce_kernel<512, 1, ...>", OperationKind::elementwise},
      {"void at::native::(anonymous namespace)::fused_dropout_kernel_vec<...>", OperationKind::elementwise},
      {"aten::_fused_sgd_", OperationKind::optimizer},
      {"void at::native::(anonymous namespace)::multi_tensor_apply_kernel<...>", OperationKind::optimizer},
      {"aten::_foreach_norm", OperationKind::optimizer},
      {"Memcpy DtoD (Device -> Device)", OperationKind::copy},
      {"aten::copy_", OperationKind::copy},
      {"ncclDevKernel_AllReduce_Sum_f32_RING_LL(ncclDevKernelArgsStorage<4096ul>)", OperationKind::all_reduce},
      {"gloo:all_reduce", OperationKind::all_reduce},
      {"torch::autograd::AccumulateGrad", OperationKind::other},
  };
  for (const auto& [name, kind] : names) EXPECT_STREQ(to_string(kind_of_operation(name)), to_string(kind)) << name;
}

TEST(SplitTimes, CountsAnOperationWithinAnotherOnce) {
  const StepTimes times =
      split_times(std::vector{operation("aten::conv2d", 0, 10), operation("aten::empty", 1, 2),
                              operation("aten::mkldnn_convolution", 2, 9), operation("aten::relu", 12, 16),
                              operation("autograd::engine::evaluate_function: ReluBackward0", 20, 27),
                              operation("aten::threshold_backward", 22, 26)},
                  /*steps=*/2);
  EXPECT_NEAR(times.of(OperationKind::convolution), 5e-3, 1e-9) << "whatever it consists of";
  EXPECT_NEAR(times.of(OperationKind::elementwise), 4e-3, 1e-9);
  EXPECT_NEAR(times.of(OperationKind::other), 1.5e-3, 1e-9) << "the engine itself";
  EXPECT_NEAR(times.busy(), 10.5e-3, 1e-9);
  EXPECT_EQ(times.operations.front().name, "aten::mkldnn_convolution");
  EXPECT_NEAR(times.operations.front().seconds, 3.5e-3, 1e-9);
  EXPECT_EQ(times.operations.front().calls, 0.5);
}

TEST(SplitTimes, KeepsThreadsApart) {
  const StepTimes times = split_times(
      std::vector{operation("aten::relu", 0, 10, 1), operation("aten::mm", 2, 4, 2), operation("aten::mm", 5, 7, 1)},
      1);
  EXPECT_NEAR(times.of(OperationKind::elementwise), 8e-3, 1e-9);
  EXPECT_NEAR(times.of(OperationKind::matrix_product), 4e-3, 1e-9);
}

TEST(SplitTimes, CountsKernelsAloneIfThereAreAny) {
  const StepTimes times = split_times(std::vector{operation("aten::relu", 0, 100), kernel("nvjet_gemm", 50, 53)}, 1);
  EXPECT_NEAR(times.busy(), 3e-3, 1e-9);
}

TEST(SplitTimes, CountsAnAllReduceWhereNoOtherKernelRuns) {
  const StepTimes times = split_times(
      std::vector{kernel("dgrad", 0, 10), kernel("ncclDevKernel_AllReduce", 4, 14), kernel("wgrad", 11, 12)}, 1);
  EXPECT_NEAR(times.of(OperationKind::convolution), 11e-3, 1e-9);
  EXPECT_NEAR(times.of(OperationKind::all_reduce), 3e-3, 1e-9);
  EXPECT_THAT(times.operations,
              Contains(Field(&StepTimes::Operation::seconds, testing::DoubleNear(10e-3, 1e-9))).Times(2))
      << "of its kernels the whole time";
}

TEST(Recording, HasWhatRanUntilItWasStopped) {
  const at::Tensor a = at::randn({64, 64});
  {
    const Recording discarded(at::kCPU, InputShapes::omitted);
  }
  Recording recording(at::kCPU, InputShapes::omitted);
  at::matmul(a, a);
  const std::vector<RecordedCall> calls = calls_of(*recording.stop());
  a.relu();
  EXPECT_THAT(calls, Contains(Field(&RecordedCall::name, "aten::mm")));
  EXPECT_THAT(calls, Not(Contains(Field(&RecordedCall::name, StartsWith("aten::relu")))));
  const StepTimes times = split_times(calls, 1);
  EXPECT_GT(times.of(OperationKind::matrix_product), 0);
  EXPECT_EQ(times.of(OperationKind::convolution), 0);
}

}  // namespace
}  // namespace trainyard
