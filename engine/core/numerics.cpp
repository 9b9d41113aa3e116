#include "engine/core/numerics.h"

#include <cstdlib>

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
  // Notes on a cuDNN plan do not tell whether it rounds to TF32; only this variable forbids it.
  if (!numerics.allow_tf32) setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
#endif
}

}  // namespace invp
