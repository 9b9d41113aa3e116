#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/basic/elementwise.h"

namespace invp::cpu {

namespace {

constexpr std::int64_t kGrain = 16384;  // elements a thread takes at least

/// y[i] = kFunction(inputs[i]...), all of one dtype. The function is a constant so that it is
/// inlined and the loop vectorised.
template <auto kFunction, class... Inputs>
void map(const char* op, const Tensor& y, const Inputs&... inputs) {
  dispatch_floating(y.dtype(), op, [&]<class T>(T) {
    const bool streaming = streams(y);
    parallel_for(0, y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      const auto block = [](T* out, std::int64_t count, const auto*... in) {
#pragma omp simd
        for (std::int64_t i = 0; i < count; ++i) {
          put(out[i], kFunction(static_cast<float>(in[i])...));
        }
      };
      write_blocks(y.data<T>(), begin, end, streaming,
                   [&](T* out, std::int64_t first, std::int64_t count) {
                     block(out, count, (inputs.template data<T>() + first)...);
                   });
      finish_stores(streaming);
    });
  });
}

}  // namespace

void relu_forward(const Tensor& x, const Tensor& y) {
  map<Relu::forward>("relu", y, x);
}

void relu_backward(const Tensor& y, const Tensor& dy, const Tensor& dx) {
  map<Relu::backward>("relu", dx, y, dy);
}

void add_forward(const Tensor& a, const Tensor& b, const Tensor& y) {
  map<Add::forward>("add", y, a, b);
}

}  // namespace invp::cpu
