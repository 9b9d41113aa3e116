#include "engine/core/numerics.h"

#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>

namespace invp {

namespace {

Numerics& settings() {
  static Numerics numerics;
  return numerics;
}

}  // namespace

const Numerics& numerics() {
  return settings();
}

void set_numerics(const Numerics& numerics) {
  settings() = numerics;
#ifdef INVP_CUDA
  // Beside what each library is asked for: products ask cuBLASLt for f32, and cuDNN's plans that
  // use tensor cores or round their inputs are deselected. That leaves the same plans as this
  // variable does (tests/cuda/cudnn_graphs_test.cpp).
  if (!numerics.allow_tf32) setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
#endif
}

bool multiplies_bf16(Device device) {
  if (device != kCpu) return true;
  // Each set's bits hold those of the sets it includes.
  const auto has = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(dnnl::cpu_isa::avx512_core);
  return (has & needed) == needed;
}

}  // namespace invp
