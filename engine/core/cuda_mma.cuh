// Functions for the instructions of tensor cores and of asynchronous copies that sm_80 and all
// later GPUs have.
#pragma once

#include "engine/core/cuda_launch.cuh"
#ifdef INVP_CUDA_EMULATED
#include <tensor_cores.h>
#endif

namespace invp::cuda {

/// An operand of multiply_add_tf32: the TF32 number (10 bits after the point) nearest to a finite
/// value, in ties the one further from zero. One instruction; NVIDIA's own conversion takes three.
/// NaN may become a number.
__device__ inline unsigned round_to_tf32(float value) {
  return __float_as_uint(value) + 0x1000U;
}

/// c += a b, of 16 x 8, 16 x 8 and 8 x 8 elements. The last 13 bits of a and b are ignored; sums
/// are f32. All lanes of a warp must call. Lane 4 g + t (t < 4) holds
///   of a  rows g, g + 8, g, g + 8       at columns t, t, t + 4, t + 4,
///   of b  rows t, t + 4                 at column g,
///   of c  rows g, g, g + 8, g + 8       at columns 2 t, 2 t + 1, 2 t, 2 t + 1.
__device__ inline void multiply_add_tf32(float (&c)[4], const unsigned (&a)[4],
                                         const unsigned (&b)[2]) {
#ifdef INVP_CUDA_EMULATED
  emulator::multiply_add_tf32(c, a, b);
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/// Starts to copy 16 bytes to shared memory, or to write 16 zeros where `wanted` is false; `from`,
/// on the GPU and aligned to 16 bytes, is not read then.
__device__ inline void copy_async(void* shared, const void* from, bool wanted) {
#ifdef INVP_CUDA_EMULATED
  emulator::copy_async(shared, from, wanted);
#else
  const auto to = static_cast<unsigned>(__cvta_generic_to_shared(shared));
  asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(wanted ? 16 : 0)
               : "memory");
#endif
}

/// The copies that this thread started since the last call become one group, which may be empty.
__device__ inline void commit_copies() {
#ifdef INVP_CUDA_EMULATED
  emulator::commit_copies();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits for all of this thread's groups but the last `kPending`. Other threads see the copies
/// after a barrier.
template <int kPending>
__device__ void wait_for_copies() {
#ifdef INVP_CUDA_EMULATED
  emulator::wait_for_copies(kPending);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

}  // namespace invp::cuda
