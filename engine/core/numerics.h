// How exactly a GPU computes. The CPU always computes in f32, and the same way every time.
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

/// Call once, before any work on a GPU and before threads are started. Each library is asked for
/// f32; NVIDIA_TF32_OVERRIDE=0, which libraries read at their first use, also forbids TF32. A value
/// that the environment has already stays unless it allows TF32 against `allow_tf32`.
void set_numerics(const Numerics& numerics);

/// True if the device has products and convolutions in bf16: every GPU, and a CPU with AVX-512.
bool multiplies_bf16(Device device);

}  // namespace invp
