// What the forward and the backward kernels of batch normalisation share: the arithmetic that
// decides the sign of y, to the bit.
#pragma once

#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/norm/channel_tiles_cuda.cuh"

namespace invp::cuda {

struct Scaling {
  explicit Scaling(const BatchNormScaling& from)
      : mean(from.mean.data<float>()),
        inverse_std(from.inverse_std.data<float>()),
        gamma(from.gamma.data<float>()),
        beta(from.beta.data<float>()) {}
  const float* mean;
  const float* inverse_std;
  const float* gamma;
  const float* beta;
};

__device__ inline float inverse_std_of(double var, const BatchNormParams& params) {
  return static_cast<float>(1 / sqrt(var + static_cast<double>(params.eps)));
}

/// y = (x - mean) scale + beta for the channels of one thread. The mean is subtracted first because
/// x scale + (beta - mean scale) cancels where the mean is large.
template <int Lanes>
struct Affine {
  __device__ Affine(const Scaling& scaling, std::int64_t channel) {
    load_coefficients<Lanes>(scaling.mean + channel, mean);
    load_coefficients<Lanes>(scaling.inverse_std + channel, scale);
    load_coefficients<Lanes>(scaling.beta + channel, beta);
    float gamma[Lanes];
    load_coefficients<Lanes>(scaling.gamma + channel, gamma);
#pragma unroll
    for (int l = 0; l < Lanes; ++l) scale[l] *= gamma[l];
  }
  __device__ float operator()(int lane, float x) const {
    return fmaf(x - mean[lane], scale[lane], beta[lane]);
  }
  float mean[Lanes];
  float scale[Lanes];
  float beta[Lanes];
};

template <class T>
T* data_or_null(const Tensor& tensor) {
  return tensor.defined() ? tensor.data<T>() : nullptr;
}

}  // namespace invp::cuda
