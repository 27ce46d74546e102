#include "layers/cuda/convolution_plan.h"

#include <optional>

#include <ATen/cudnn/Handle.h>

namespace trainyard {
namespace {

enum Id : std::int64_t { x_id = 1, w_id, y_id, sum_id, square_sum_id };

constexpr std::int64_t alignment = 16;
constexpr std::size_t most_plans = 8;

// In channels-last memory format.
CudnnDescriptor tensor(Id id, cudnnDataType_t type, const std::array<std::int64_t, 4>& sizes) {
  const auto [n, c, h, w] = sizes;
  const std::array<std::int64_t, 4> strides = {h * w * c, 1, w * c, c};
  CudnnDescriptor tensor(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  tensor.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, std::int64_t{id})
      .set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, alignment)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes)
      .set(CUDNN_ATTR_TENSOR_STRIDES, strides)
      .finalize();
  return tensor;
}

CudnnDescriptor convolution(const ConvolutionShape& shape) {
  CudnnDescriptor convolution(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  convolution.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, std::int64_t{2})
      .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, CUDNN_CROSS_CORRELATION)
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, shape.stride)
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, shape.padding)
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, shape.padding)
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, shape.dilation)
      .finalize();
  return convolution;
}

// Convolves, then sums up the output and its squares. Empty if cuDNN has no engine for it.
std::optional<CudnnDescriptor> operation_graph(const ConvolutionShape& shape) {
  const std::array<std::int64_t, 4> per_channel = {1, shape.y[1], 1, 1};
  const CudnnDescriptor x = tensor(x_id, CUDNN_DATA_HALF, shape.x);
  const CudnnDescriptor w = tensor(w_id, CUDNN_DATA_HALF, shape.w);
  const CudnnDescriptor y = tensor(y_id, CUDNN_DATA_HALF, shape.y);
  const CudnnDescriptor sum = tensor(sum_id, CUDNN_DATA_FLOAT, per_channel);
  const CudnnDescriptor square_sum = tensor(square_sum_id, CUDNN_DATA_FLOAT, per_channel);
  const CudnnDescriptor how = convolution(shape);
  CudnnDescriptor convolve(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR);
  convolve.set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, how)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, y)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_TYPE_FLOAT, 1.0F)
      .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, CUDNN_TYPE_FLOAT, 0.0F);
  CudnnDescriptor sum_up(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
  sum_up.set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, CUDNN_GENSTATS_SUM_SQSUM)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, y)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sum)
      .set(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, square_sum);
  if (!convolve.finalize() || !sum_up.finalize()) return std::nullopt;
  const std::array operations = {convolve.get(), sum_up.get()};
  CudnnDescriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, at::native::getCudnnHandle())
      .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
           std::span<const cudnnBackendDescriptor_t>(operations));
  if (!graph.finalize()) return std::nullopt;
  return graph;
}

std::vector<CudnnDescriptor> engine_configs(const CudnnDescriptor& graph) {
  CudnnDescriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, CUDNN_HEUR_MODE_A);
  if (!heuristic.finalize()) return {};
  std::vector<CudnnDescriptor> configs;
  std::vector<cudnnBackendDescriptor_t> filled;
  for (std::size_t i = 0; i < most_plans; ++i) {
    filled.push_back(configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR).get());
  }
  std::int64_t count = 0;
  if (cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                               std::ssize(filled), &count, static_cast<void*>(filled.data())) != CUDNN_STATUS_SUCCESS) {
    return {};
  }
  while (std::ssize(configs) > count) configs.pop_back();
  return configs;
}

}  // namespace

ConvolutionPlan::ConvolutionPlan(CudnnDescriptor config, CudnnDescriptor plan, std::int64_t workspace)
    : config_(std::move(config)), plan_(std::move(plan)), workspace_(workspace) {}

std::vector<ConvolutionPlan> ConvolutionPlan::recommended(const ConvolutionShape& shape) {
  std::vector<ConvolutionPlan> plans;
  const std::optional<CudnnDescriptor> graph = operation_graph(shape);
  if (!graph) return plans;
  for (CudnnDescriptor& config : engine_configs(*graph)) {
    CudnnDescriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, at::native::getCudnnHandle())
        .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (!plan.finalize()) continue;
    std::int64_t workspace = 0;
    AT_CUDNN_CHECK(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                                            nullptr, &workspace));
    plans.push_back(ConvolutionPlan(std::move(config), std::move(plan), workspace));
  }
  return plans;
}

void ConvolutionPlan::run(const Arguments& arguments) const {
  constexpr std::array<std::int64_t, 5> ids = {x_id, w_id, y_id, sum_id, square_sum_id};
  // The API takes pointers to mutable memory also for what it only reads.
  const std::array<void*, 5> pointers = {const_cast<void*>(arguments.x), const_cast<void*>(arguments.w), arguments.y,
                                         arguments.sum, arguments.square_sum};
  CudnnDescriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, ids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, std::span<void* const>(pointers))
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, arguments.workspace)
      .finalize();
  AT_CUDNN_CHECK(cudnnBackendExecute(at::native::getCudnnHandle(), plan_.get(), pack.get()));
}

}  // namespace trainyard
