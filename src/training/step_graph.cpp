#include "training/step_graph.h"

#include <algorithm>
#include <utility>

#include <ATen/Context.h>
#include <ATen/ops/empty_like.h>

#include "util/log.h"

namespace trainyard {
namespace {

constexpr int steps_before_capture = 3;
constexpr std::size_t max_kinds = 12;

}  // namespace

StepGraph::StepGraph(Step step, ProcessGroup& group, at::Device device, bool enabled, bool warns)
    : step_(std::move(step)),
      group_(group),
      device_(device),
      enabled_(enabled && device.is_cuda()),
      warns_(warns && group.rank().is_first()) {
  kinds_.reserve(max_kinds);
}

StepResult StepGraph::operator()(const TensorDict& batch, const StepPart& part) {
  Kind* const kind = enabled_ ? kind_of(batch, part) : nullptr;
  if (kind == nullptr) return step_(batch, part);
  if (!kind->graph && kind->seen++ == steps_before_capture) capture(*kind, batch);
  if (!enabled_ || !kind->graph) return step_(batch, part);
  for (auto& [name, tensor] : kind->input) tensor.copy_(batch.at(name));
  kind->graph->replay();
  return kind->result;
}

void StepGraph::launch_without_graph(const char* reason) {
  if (!std::exchange(enabled_, false) || !warns_) return;
  log_warning("[training] {}: the steps are launched one kernel after another", reason);
}

StepGraph::Kind* StepGraph::kind_of(const TensorDict& batch, const StepPart& part) {
  const auto found = std::find_if(kinds_.begin(), kinds_.end(), [&](const Kind& kind) {
    return kind.part == part &&
           std::equal(kind.shapes.begin(), kind.shapes.end(), batch.begin(), batch.end(),
                      [](const FieldShape& shape, const auto& field) { return shape.is_of(field); });
  });
  if (found != kinds_.end()) return &*found;
  if (kinds_.size() == max_kinds) return nullptr;
  Kind& kind = kinds_.emplace_back(Kind{.part = part});
  for (const auto& [name, tensor] : batch) kind.shapes.push_back({name, tensor.sizes().vec(), tensor.scalar_type()});
  return &kind;
}

bool StepGraph::FieldShape::is_of(const TensorDict::Entry& field) const {
  const auto& [field_name, tensor] = field;
  return name == field_name && tensor.sizes() == at::IntArrayRef(sizes) && tensor.scalar_type() == type;
}

void StepGraph::capture(Kind& kind, const TensorDict& batch) {
  const auto captured =
      std::find_if(kinds_.begin(), kinds_.end(), [](const Kind& one) { return one.graph != nullptr; });
  const CudaGraph* const other = captured == kinds_.end() ? nullptr : captured->graph.get();
  if (!group_.all_agree(other != nullptr || has_room_for_cuda_graph(device_))) {
    enabled_ = false;
    return;
  }
  for (const auto& [name, tensor] : batch) kind.input.set(name, at::empty_like(tensor));
  at::Generator random = at::globalContext().defaultGenerator(at::kCPU);
  const at::Tensor before = random.get_state();
  kind.graph = capture_cuda_graph(device_, [&] { kind.result = step_(kind.input, kind.part); }, other);
  if (at::equal(random.get_state(), before)) return;
  random.set_state(before);
  kinds_.clear();
  launch_without_graph(
      "the model draws random numbers on the CPU, which a CUDA graph would repeat (draw them on the GPU, or set "
      "train.cuda_graph = false)");
}

}  // namespace trainyard
