// One block per image. Every sum is in f64, in an order that does not depend on the grid.
#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/loss/contrast.h"
#include "engine/ops/loss/contrast_terms.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 512;

template <class T>
struct List {
  T* first;
  std::int64_t width;

  __device__ T* of(std::int64_t i) const { return first + i * width; }
};
template <class T>
List<T> lists(const Tensor& matrix) {
  return {matrix.data<std::remove_const_t<T>>(), matrix.dim(1)};
}

struct Lists {
  List<const std::int32_t> rows;  ///< the background's
  List<const float> similarities;
  List<const float> self;
  List<const std::int32_t> positives;
  List<const std::int32_t> hard;
  List<const float> hard_similarities;
  const std::int32_t* indices;
  const float* weight;
  List<float> losses;
  List<float> background_weights;
  List<float> self_weights;
  List<float> hard_weights;
};

/// The place of a row in an ascending list, or -1.
__device__ std::int64_t place_of(const std::int32_t* rows, std::int64_t count, std::int32_t row) {
  std::int64_t low = 0;
  for (std::int64_t high = count; low < high;) {
    const std::int64_t middle = (low + high) / 2;
    if (rows[middle] < row) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < count && rows[low] == row ? low : -1;
}

/// Calls body(j) for this thread's share of [0, count).
template <class Body>
__device__ void for_share(std::int64_t count, const Body& body) {
#pragma unroll 4
  for (std::int64_t j = threadIdx.x; j < count; j += kThreads) body(j);
}

/// Marks what the sum over the rest skips: kept[j] is 1 for the rest, 0 for the image itself
/// and, in the paper's form, for its positives. Returns the image's own place.
__device__ std::int64_t mark_rest(const Lists& lists, std::int64_t i, ContrastForm form,
                                  float* kept) {
  const std::int32_t* const rows = lists.rows.of(i);
  const std::int64_t count = lists.rows.width;
  const std::int64_t self_place = place_of(rows, count, lists.indices[i]);
  for_share(count, [&](std::int64_t j) { kept[j] = j == self_place ? 0 : 1; });
  __syncthreads();
  if (form == ContrastForm::kPaper) {
    for_share(lists.positives.width, [&](std::int64_t w) {
      const std::int64_t place = place_of(rows, count, lists.positives.of(i)[w]);
      if (place >= 0) kept[place] = 0;
    });
  }
  __syncthreads();
  return self_place;
}

/// One block per image. The weights' memory holds the marks until the weights are known.
__global__ void __launch_bounds__(kThreads)
    contrast_images(Lists lists, ContrastOptions options, double scale) {
  const std::int64_t i = blockIdx.x;
  const std::int64_t count = lists.rows.width;
  const std::int64_t hard_count = lists.hard.width;
  const float* const similarities = lists.similarities.of(i);
  const float self = *lists.self.of(i);
  float* const weights = lists.background_weights.of(i);
  float* const hard_weights = lists.hard_weights.of(i);
  const std::int64_t self_place = mark_rest(lists, i, options.form, weights);

  float shift = self;
  for_share(count, [&](std::int64_t j) { shift = Larger{}(shift, similarities[j]); });
  shift = reduce_block(shift, Larger{});
  const auto exponential = [&](float similarity) {
    return exp((static_cast<double>(similarity) - shift) / options.tau);
  };
  const auto hard_exponential = [&](std::int64_t p) {
    return lists.hard.of(i)[p] >= 0 ? exponential(lists.hard_similarities.of(i)[p]) : 0.0;
  };

  ContrastSums sums{.self = exponential(self),
                    .log_self = (static_cast<double>(self) - shift) / options.tau,
                    .self_in_background = self_place >= 0};
  for_share(count, [&](std::int64_t j) {
    const double e = exponential(similarities[j]);
    sums.all += e;
    sums.rest += weights[j] != 0 ? e : 0;
  });
  for_share(hard_count, [&](std::int64_t p) { sums.hard += hard_exponential(p); });
  sums.all = reduce_block(sums.all, Plus{});
  sums.rest = reduce_block(sums.rest, Plus{});
  sums.hard = reduce_block(sums.hard, Plus{});

  const ContrastTerms terms = contrast_terms(sums, options.form, *lists.weight);
  for_share(count, [&](std::int64_t j) {
    const double slope = weights[j] != 0 ? terms.background + terms.rest : terms.background;
    weights[j] = static_cast<float>(scale * slope * exponential(similarities[j]));
  });
  for_share(hard_count, [&](std::int64_t p) {
    hard_weights[p] = static_cast<float>(scale * terms.hard * hard_exponential(p));
  });
  if (threadIdx.x == 0) {
    lists.losses.of(i)[0] = static_cast<float>(terms.instance_loss);
    lists.losses.of(i)[1] = static_cast<float>(terms.invariance_loss);
    *lists.self_weights.of(i) = static_cast<float>(scale * terms.self_weight);
  }
}

/// One block.
__global__ void __launch_bounds__(kThreads)
    contrast_means(const float* losses, std::int64_t batch, const float* weight, float* means) {
  double instance = 0;
  double invariance = 0;
  for_share(batch, [&](std::int64_t i) {
    instance += losses[2 * i] / static_cast<double>(batch);
    invariance += losses[2 * i + 1] / static_cast<double>(batch);
  });
  instance = reduce_block(instance, Plus{});
  invariance = reduce_block(invariance, Plus{});
  if (threadIdx.x != 0) return;
  means[0] = static_cast<float>(instance);
  means[1] = static_cast<float>(invariance);
  means[2] = static_cast<float>(instance + *weight * invariance);
}

}  // namespace

void contrast(const ContrastInputs& inputs, const ContrastOptions& options, const Contrast& out) {
  const Context& gpu = context(inputs.indices.device());
  const std::int64_t batch = inputs.indices.dim(0);
  const double scale = 1 / (static_cast<double>(options.tau) * static_cast<double>(batch));
  const Lists all{.rows = lists<const std::int32_t>(inputs.background.rows),
                  .similarities = lists<const float>(inputs.background.similarities),
                  .self = lists<const float>(inputs.self),
                  .positives = lists<const std::int32_t>(inputs.positives),
                  .hard = lists<const std::int32_t>(inputs.hard),
                  .hard_similarities = lists<const float>(inputs.hard_similarities),
                  .indices = inputs.indices.data<std::int32_t>(),
                  .weight = inputs.weight.data<float>(),
                  .losses = lists<float>(out.losses),
                  .background_weights = lists<float>(out.background_weights),
                  .self_weights = lists<float>(out.self_weights),
                  .hard_weights = lists<float>(out.hard_weights)};
  const Grid images{.blocks = dim3(static_cast<unsigned>(batch)), .threads = dim3(kThreads)};
  launch(gpu, images, contrast_images, all, options, scale);
  const Grid one_block{.blocks = dim3(1), .threads = dim3(kThreads)};
  launch(gpu, one_block, contrast_means, out.losses.data<float>(), batch,
         inputs.weight.data<float>(), out.means.data<float>());
}

}  // namespace invp::cuda
