#include "models/gradient_leaves.h"

#include <vector>

#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>

namespace trainyard {

std::unordered_set<const at::TensorImpl*> gradient_leaves(const at::Tensor& result) {
  using torch::autograd::Node;
  std::unordered_set<const at::TensorImpl*> leaves;
  std::unordered_set<const Node*> seen;
  std::vector<const Node*> open;
  const auto visit = [&](const Node* node) {
    if (node != nullptr && seen.insert(node).second) open.push_back(node);
  };
  if (result.requires_grad() && result.is_leaf()) return {result.unsafeGetTensorImpl()};
  visit(result.grad_fn().get());
  while (!open.empty()) {
    const Node& node = *open.back();
    open.pop_back();
    if (const auto* const leaf = dynamic_cast<const torch::autograd::AccumulateGrad*>(&node)) {
      leaves.insert(leaf->variable.unsafeGetTensorImpl());
    }
    for (const torch::autograd::Edge& edge : node.next_edges()) visit(edge.function.get());
  }
  return leaves;
}

}  // namespace trainyard
