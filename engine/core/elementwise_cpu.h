// y[i] = f(inputs[i]...) on the CPU for operations whose arithmetic is a function of floats: in
// parallel, vectorised, past the caches where y is too large to stay in them.
#pragma once

#include <type_traits>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"

namespace invp::cpu {

/// y[i] = function(inputs[i]...), y of Y and the inputs of Inputs. y may be one of the inputs. The
/// function should be a small functor, so that it is inlined and the loop vectorised.
template <class Y, class... Inputs, class Function, class... Tensors>
void map_as(const Function& function, const Tensor& y, const Tensors&... inputs) {
  static_assert(sizeof...(Inputs) == sizeof...(Tensors));
  constexpr std::int64_t kGrain = 16384;  // elements per thread at least
  // Lines that were read a moment ago are in the cache: no store past it saves anything then.
  const bool streaming = streams(y) && ((inputs.raw() != y.raw()) && ...);
  const auto block = [&function](Y* out, std::int64_t count, const Inputs*... in) {
    const Function call = function;  // a local copy, which no store to `out` can change
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) put(out[i], call(static_cast<float>(in[i])...));
  };
  parallel_for(0, y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    write_blocks(y.data<Y>(), begin, end, streaming,
                 [&](Y* out, std::int64_t first, std::int64_t count) {
                   block(out, count, (inputs.template data<Inputs>() + first)...);
                 });
    finish_stores(streaming);
  });
}

/// kFunction as a functor.
template <auto kFunction>
struct Call {
  template <class... Floats>
  float operator()(Floats... x) const {
    return kFunction(x...);
  }
};

/// y[i] = kFunction(inputs[i]...), all of one dtype: f32 or bf16, or Error naming `op`.
template <auto kFunction, class... Tensors>
void map(const char* op, const Tensor& y, const Tensors&... inputs) {
  dispatch_floating(y.dtype(), op, [&]<class T>(T) {
    map_as<T, std::conditional_t<true, T, Tensors>...>(Call<kFunction>{}, y, inputs...);
  });
}

}  // namespace invp::cpu
