// Every operation's tests run on every device of the build and the machine, in every floating
// dtype.
//
//   class ReluTest : public OpTest {};
//   RUN_ON_ALL_DEVICES(ReluTest);
//   TEST_P(ReluTest, MatchesReference) { ... device(), dtype() ... }
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "engine/core/numerics.h"
#include "engine/devices/cuda_info.h"
#include "engine/ops/basic/cast.h"
#include "tests/support/values.h"

namespace invp::testing {

/// The CPU, and the first GPU if there is one, emulated ones included.
inline std::vector<Device> available_devices() {
  std::vector<Device> devices{kCpu};
  const CudaInfo cuda = cuda_info();
  if (cuda.problem.empty() && !cuda.gpus.empty()) devices.push_back({DeviceType::kCuda, 0});
  return devices;
}

/// In which networks compute there.
inline std::vector<DType> compute_types(Device device) {
  if (!multiplies_bf16(device)) return {DType::kF32};
  return {DType::kF32, DType::kBF16};
}

struct OpTestParam {
  Device device;
  DType dtype;
};

inline std::ostream& operator<<(std::ostream& out, const OpTestParam& param) {
  return out << param.device << ' ' << param.dtype;
}

inline std::vector<OpTestParam> all_op_test_params() {
  std::vector<OpTestParam> params;
  for (const Device device : available_devices()) {
    for (const DType dtype : compute_types(device)) params.push_back({device, dtype});
  }
  return params;
}

/// Fills the allocator's cached blocks with NaN (all bits set), so that an output element nobody
/// writes cannot pass.
inline void poison_free_memory(Device device) {
  std::vector<Tensor> blocks;
  for (std::int64_t bytes = 64; bytes <= (1 << 20); bytes *= 2) {
    for (int copy = 0; copy < 4; ++copy) {
      blocks.push_back(Tensor::empty({bytes}, DType::kU8, device));
      fill_bytes(blocks.back().raw(), 0xFF, blocks.back().nbytes(), device);
    }
  }
}

class OpTest : public ::testing::TestWithParam<OpTestParam> {
 protected:
  void SetUp() override { poison_free_memory(device()); }

  static Device device() { return GetParam().device; }
  static DType dtype() { return GetParam().dtype; }

  /// An f32 leaf; pass it to the operation as input(leaf).
  static Tensor make_leaf(const Values& values, const Shape& shape) {
    return leaf(values, shape, device());
  }
  /// The leaf in the dtype under test, differentiably.
  static Tensor input(const Tensor& leaf) { return cast(leaf, dtype()); }
  /// A constant in the dtype under test.
  static Tensor constant(const Values& values, const Shape& shape) {
    return tensor(values, shape, device(), dtype());
  }
};

/// For what has one dtype.
class DeviceTest : public ::testing::TestWithParam<Device> {
 protected:
  void SetUp() override { poison_free_memory(device()); }

  static Device device() { return GetParam(); }
};

inline std::string device_test_name(const ::testing::TestParamInfo<Device>& info) {
  return info.param == kCpu ? "cpu" : "cuda";
}

inline std::string op_test_name(const ::testing::TestParamInfo<OpTestParam>& info) {
  return std::string(info.param.device == kCpu ? "cpu_" : "cuda_") + name_of(info.param.dtype);
}

}  // namespace invp::testing

#define RUN_ON_ALL_DEVICES(suite)                                                      \
  INSTANTIATE_TEST_SUITE_P(Devices, suite,                                             \
                           ::testing::ValuesIn(::invp::testing::all_op_test_params()), \
                           ::invp::testing::op_test_name)
#define RUN_ON_EACH_DEVICE(suite)                                                     \
  INSTANTIATE_TEST_SUITE_P(Devices, suite,                                            \
                           ::testing::ValuesIn(::invp::testing::available_devices()), \
                           ::invp::testing::device_test_name)
