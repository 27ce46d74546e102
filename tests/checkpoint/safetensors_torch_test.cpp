#include "checkpoint/safetensors_torch.h"

#include <array>
#include <cstdio>
#include <cstring>

#include <gmock/gmock.h>

#include <ATen/Context.h>
#include <ATen/ops/complex.h>
#include <ATen/ops/eye.h>

#include "checkpoint/test_folder.h"
#include "util/torch.h"

namespace trainyard {
namespace {

using testing::HasSubstr;

constexpr std::array all_types = {
    at::kBool,  at::kByte,   at::kChar,   at::kFloat8_e5m2, at::kFloat8_e4m3fn, at::kFloat8_e8m0fnu,
    at::kShort, at::kUInt16, at::kHalf,   at::kBFloat16,    at::kInt,           at::kUInt32,
    at::kFloat, at::kLong,   at::kUInt64, at::kDouble,      at::kComplexFloat};

// Returns a tensor of this type in which neighbouring bytes differ.
at::Tensor filled(at::ScalarType type, at::IntArrayRef shape) {
  at::Tensor tensor = at::empty(shape, type);
  auto* const bytes = static_cast<unsigned char*>(tensor.mutable_data_ptr());
  for (std::size_t i = 0; i < tensor.nbytes(); ++i) {
    bytes[i] = static_cast<unsigned char>(type == at::kBool ? i % 2 : 7 * i + 1);
  }
  return tensor;
}

std::string bytes_of(const at::Tensor& tensor) {
  const at::Tensor dense = tensor.contiguous();
  return {static_cast<const char*>(dense.const_data_ptr()), dense.nbytes()};
}

NamedTensors one_of_each() {
  NamedTensors tensors;
  for (const at::ScalarType type : all_types) {
    const std::string name = c10::toString(type);
    tensors.emplace_back(name, filled(type, {3, 5}));
    tensors.emplace_back(name + ".scalar", filled(type, {}));
    tensors.emplace_back(name + ".empty", filled(type, {2, 0, 3}));
  }
  return tensors;
}

void expect_same(const NamedTensors& actual, const NamedTensors& expected) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    EXPECT_EQ(actual[i].first, expected[i].first);
    EXPECT_EQ(actual[i].second.scalar_type(), expected[i].second.scalar_type()) << actual[i].first;
    EXPECT_EQ(actual[i].second.sizes(), expected[i].second.sizes()) << actual[i].first;
    EXPECT_EQ(bytes_of(actual[i].second), bytes_of(expected[i].second)) << actual[i].first;
  }
}

TEST(SafetensorsTorch, EveryTypeScalarsAndEmptyTensorsReadBackBitForBitInOrder) {
  const TestFolder folder;
  save_safetensors(folder / "t.safetensors", one_of_each());
  expect_same(load_safetensors(folder / "t.safetensors"), one_of_each());
}

TEST(SafetensorsTorch, NoTensorsReadBack) {
  const TestFolder folder;
  save_safetensors(folder / "t.safetensors", {});
  EXPECT_TRUE(load_safetensors(folder / "t.safetensors").empty());
}

TEST(SafetensorsTorch, WritesValuesOfStridedLazyAndGradientTensors) {
  const TestFolder folder;
  const at::Tensor base = at::arange(12, at::kFloat).reshape({3, 4});
  const at::Tensor complex = at::complex(base, base + 1);
  const NamedTensors tensors = {{"transposed", base.t()},
                                {"slice", base.slice(1, 1, 3)},
                                {"expanded", base[0].expand({2, 4})},
                                {"conjugate", complex.conj()},
                                {"gradient", base.clone().requires_grad_()}};
  save_safetensors(folder / "t.safetensors", tensors);
  const NamedTensors loaded = load_safetensors(folder / "t.safetensors");
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_TRUE(at::equal(loaded[i].second, tensors[i].second.detach().resolve_conj())) << tensors[i].first;
  }
}

TEST(SafetensorsTorch, LoadedTensorsOutliveTheFile) {
  const TestFolder folder;
  save_safetensors(folder / "t.safetensors", {{"a", at::ones({1000})}});
  const NamedTensors loaded = load_safetensors(folder / "t.safetensors");
  write_text(folder / "t.safetensors", "");
  EXPECT_EQ(loaded[0].second.sum().item<float>(), 1000);
}

TEST(SafetensorsTorch, RefusesWhatTheFormatCannotHold) {
  const TestFolder folder;
  const auto save = [&](const at::Tensor& tensor) {
    return message_of<RunError>([&] { save_safetensors(folder / "t.safetensors", {{"name", tensor}}); });
  };
  EXPECT_THAT(save({}), HasSubstr("\"name\" is undefined"));
  EXPECT_THAT(save(at::eye(3).to_sparse()), HasSubstr("not dense"));
  EXPECT_THAT(save(at::zeros({1}, at::kComplexDouble)), HasSubstr("ComplexDouble"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SafetensorsTorch, NamesAMissingAndADamagedFile) {
  const TestFolder folder;
  const auto load = [&] { load_safetensors(folder / "t.safetensors"); };
  EXPECT_THAT(message_of<RunError>(load), HasSubstr("t.safetensors"));
  write_text(folder / "t.safetensors", "");
  EXPECT_THAT(message_of<RunError>(load), HasSubstr("t.safetensors is empty"));
}

TEST(SafetensorsTorch, CudaTensorsReadBackOnTheCpu) {
  if (!at::hasCUDA()) GTEST_SKIP() << "no GPU here";
  const TestFolder folder;
  save_safetensors(folder / "t.safetensors", {{"a", filled(at::kBFloat16, {3, 5}).cuda()}});
  expect_same(load_safetensors(folder / "t.safetensors"), {{"a", filled(at::kBFloat16, {3, 5})}});
}

TEST(SafetensorsTorch, PythonReadsEveryTypeBitForBit) {
  const TestFolder folder;
  const std::string path = folder / "t.safetensors";
  save_safetensors(path, one_of_each());
  const std::string out = folder / "out.txt";
  const std::string command = fmt::format("'{}' '{}/tests/checkpoint/dump_safetensors.py' '{}' > '{}'",
                                          TRAINYARD_PYTHON, TRAINYARD_SOURCE_DIR, path, out);
  ASSERT_EQ(std::system(command.c_str()), 0);
  const std::array python_types = {"bool",    "uint8",  "int8",    "float8_e5m2", "float8_e4m3fn", "float8_e8m0fnu",
                                   "int16",   "uint16", "float16", "bfloat16",    "int32",         "uint32",
                                   "float32", "int64",  "uint64",  "float64",     "complex64"};
  std::string expected;
  const NamedTensors tensors = one_of_each();
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    std::string hex;
    for (const char byte : bytes_of(tensor)) hex += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    const char* const shape = i % 3 == 0 ? "[3, 5]" : i % 3 == 1 ? "[]" : "[2, 0, 3]";
    expected += fmt::format("{} torch.{} {} {}\n", name, python_types[i / 3], shape, hex);
  }
  EXPECT_EQ(read_text(out), expected);
}

}  // namespace
}  // namespace trainyard
