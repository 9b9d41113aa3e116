#include "engine/ops/basic/sum_cuda.cuh"
#include "engine/ops/detection/smooth_l1.h"

namespace invp::cuda {

namespace {

template <class T>
__global__ void find_terms(SmoothL1 rule, const T* x, const float* targets, std::int64_t count,
                           float* terms) {
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    terms[i] = rule.term(x, targets, i);
  }
}

template <class T>
__global__ void find_gradient(SmoothL1 rule, double scale, const T* x, const float* targets,
                              const float* dy, std::int64_t count, T* dx) {
  const auto factor = static_cast<float>(scale * *dy);
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    dx[i] = T(rule.gradient(x, targets, i) * factor);
  }
}

struct Itself {
  __device__ float operator()(float term) const { return term; }
};

}  // namespace

void smooth_l1_forward(const SmoothL1& rule, double scale, const Tensor& x, const Tensor& targets,
                       const Tensor& loss) {
  const Context& gpu = context(x.device());
  const std::int64_t count = targets.numel();
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor terms = Tensor::empty({count}, DType::kF32, x.device());
  dispatch_floating(x.dtype(), "smooth_l1", [&]<class T>(T) {
    if (count > 0) {
      launch(gpu, grid_for(gpu, count), find_terms<T>, rule, x.data<T>(), targets.data<float>(),
             count, terms.data<float>());
    }
  });
  sum_of(Itself{}, scale, loss, count, terms.data<float>());
}

void smooth_l1_backward(const SmoothL1& rule, double scale, const Tensor& x, const Tensor& targets,
                        const Tensor& dy, const Tensor& dx) {
  if (x.numel() == 0) return;
  const Context& gpu = context(x.device());
  dispatch_floating(x.dtype(), "smooth_l1", [&]<class T>(T) {
    launch(gpu, grid_for(gpu, x.numel()), find_gradient<T>, rule, scale, x.data<T>(),
           targets.data<float>(), dy.data<float>(), x.numel(), dx.data<T>());
  });
}

}  // namespace invp::cuda
