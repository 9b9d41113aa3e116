// Marks arithmetic that both compilers compile: written once, used by the CPU kernels and inside
// the CUDA ones.
#pragma once

#ifdef __CUDACC__
#define HOST_DEVICE __host__ __device__
#else
#define HOST_DEVICE
#endif
