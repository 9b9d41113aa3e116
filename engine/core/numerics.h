// How exactly a run wants its sums on a GPU. The CPU computes in f32 and the same way every time
// whatever stands here.
#pragma once

#include "engine/core/device.h"

namespace invp {

struct Numerics {
  /// Products of f32 may round their operands to TF32 (10 bits of mantissa). Sums stay f32.
  bool allow_tf32 = false;
  /// Only algorithms that give the same bits on every run of the same program on the same device.
  bool deterministic = false;
};

/// Of the whole process; the default until set_numerics is called.
const Numerics& numerics();

/// Called once, before any work on a GPU and before threads are started: besides asking each
/// library for f32, TF32 is forbidden in the environment (NVIDIA_TF32_OVERRIDE=0), which they read
/// once, at their first use. What they were asked for there before stands unless it would allow
/// TF32 against `allow_tf32`.
void set_numerics(const Numerics& numerics);

/// Whether there are products and convolutions in bf16: on every GPU, and on a CPU with AVX-512.
bool multiplies_bf16(Device device);

}  // namespace invp
