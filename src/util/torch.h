/// The torch headers that most files use, precompiled (see src/CMakeLists.txt): tensors with their methods and
/// operators, and the functions that several files call. Include other functions by their own header,
/// <ATen/ops/NAME.h>: ATen/ATen.h, which declares them all, takes three times as long to compile in each file, and
/// torch/nn six times.
#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
