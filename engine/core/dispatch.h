// Picks the kernel by the tensor's device: plain functions of one name in namespace cpu and
// namespace cuda, no registry and no stubs. In a build without CUDA the discarded branch needs no
// symbol, so a missing kernel is a link error, never a surprise.
#pragma once

#include "engine/core/device.h"
#include "engine/core/error.h"

#ifdef INVP_CUDA

namespace invp::cuda {
/// Makes the GPU current for this thread and `operation` the name under which failures of the calls
/// that follow are reported.
void enter(Device device, const char* operation);
}  // namespace invp::cuda

// DISPATCH(x.device(), relu_forward, x, y) calls cpu::relu_forward(x, y) for a tensor on the CPU
// and cuda::relu_forward(x, y) for one on a GPU.
#define DISPATCH(where, kernel, ...)                   \
  do {                                                 \
    const ::invp::Device invp_where = (where);         \
    if (invp_where.type == ::invp::DeviceType::kCpu) { \
      cpu::kernel(__VA_ARGS__);                        \
    } else {                                           \
      ::invp::cuda::enter(invp_where, #kernel);        \
      cuda::kernel(__VA_ARGS__);                       \
    }                                                  \
  } while (false)

#else

#define DISPATCH(where, kernel, ...)                                                              \
  do {                                                                                            \
    CHECK((where).type == ::invp::DeviceType::kCpu, "[" #kernel "] has no kernel for ", (where)); \
    cpu::kernel(__VA_ARGS__);                                                                     \
  } while (false)

#endif

// KERNEL(relu_forward, const Tensor& x, const Tensor& y); declares the kernel for every device, at
// the end of the header that holds the operation's contract.
#define KERNEL(kernel, ...) \
  namespace cpu {           \
  void kernel(__VA_ARGS__); \
  }                         \
  namespace cuda {          \
  void kernel(__VA_ARGS__); \
  }                         \
  static_assert(true)
