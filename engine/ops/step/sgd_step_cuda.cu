// All parameters in one launch: the kernel's argument is a table of them, and each block takes a
// chunk of fixed size. One large tensor is many blocks, forty small ones are forty small blocks.
#include "engine/core/cuda_launch.cuh"
#include "engine/ops/step/sgd_step.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kChunk = 8192;

struct Parameter {
  float* weight;
  const float* gradient;
  float* momentum;
  BFloat16* copy;  ///< or null
  std::int64_t count;
  int first_chunk;  ///< the chunks of earlier parameters come before it
  bool fresh;       ///< the momentum is not read
};

/// Enough for a ResNet-50 with its heads. The argument of a kernel may hold 32,764 bytes from
/// CUDA 12.1 on, but each launch copies it.
constexpr int kMost = 192;
struct Table {
  SgdRule rule;
  const float* lr_factor;      ///< or null
  const std::int32_t* halted;  ///< or null
  int parameters;
  Parameter parameter[kMost];
};
static_assert(sizeof(Table) <= 32'764);

/// The parameter that a chunk belongs to.
__device__ const Parameter& owner(const Table& table, int chunk) {
  int low = 0;
  int high = table.parameters;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (table.parameter[middle].first_chunk <= chunk ? low : high) = middle;
  }
  return table.parameter[low];
}

/// Elements [begin, end) as far as they fill packs of Lanes.
template <int Lanes>
__device__ void update(const Parameter& p, const SgdRule& rule, std::int64_t begin,
                       std::int64_t end) {
  using Floats = Pack<float, Lanes>;
  for (std::int64_t i = begin + threadIdx.x * Lanes; i + Lanes <= end; i += kThreads * Lanes) {
    const Floats w = *reinterpret_cast<const Floats*>(p.weight + i);
    const Floats g = *reinterpret_cast<const Floats*>(p.gradient + i);
    Floats v{};
    if (!p.fresh) v = *reinterpret_cast<const Floats*>(p.momentum + i);
    Floats velocity;
    Floats weight;
    Pack<BFloat16, Lanes> copy;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) {
      velocity.lane[l] = p.fresh ? rule.fresh_velocity(w.lane[l], g.lane[l])
                                 : rule.velocity(w.lane[l], g.lane[l], v.lane[l]);
      weight.lane[l] = rule.weight(w.lane[l], velocity.lane[l]);
      copy.lane[l] = BFloat16(weight.lane[l]);
    }
    *reinterpret_cast<Floats*>(p.momentum + i) = velocity;
    *reinterpret_cast<Floats*>(p.weight + i) = weight;
    if (p.copy != nullptr) *reinterpret_cast<Pack<BFloat16, Lanes>*>(p.copy + i) = copy;
  }
}

/// True if all begin at multiples of 16 bytes; slices need not.
__device__ bool is_aligned(const Parameter& p) {
  return (reinterpret_cast<std::uintptr_t>(p.weight) |
          reinterpret_cast<std::uintptr_t>(p.gradient) |
          reinterpret_cast<std::uintptr_t>(p.momentum) | reinterpret_cast<std::uintptr_t>(p.copy)) %
             16 ==
         0;
}

__global__ void update_chunks(const __grid_constant__ Table table) {
  constexpr int kLanes = kPackLanes<float>;
  if (table.halted != nullptr && *table.halted != 0) return;
  SgdRule rule = table.rule;
  if (table.lr_factor != nullptr) rule.lr *= *table.lr_factor;
  const int chunk = static_cast<int>(blockIdx.x);
  const Parameter p = owner(table, chunk);  // a reference would be read again after each store
  const std::int64_t begin = (chunk - p.first_chunk) * kChunk;
  const std::int64_t end = begin + kChunk < p.count ? begin + kChunk : p.count;
  const std::int64_t packed = is_aligned(p) ? (end - begin) / kLanes * kLanes : 0;
  update<kLanes>(p, rule, begin, begin + packed);
  update<1>(p, rule, begin + packed, end);
}

}  // namespace

void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper, const SgdControl& control) {
  const Context& gpu = context(items.front().weight.device());
  const auto* const lr_factor =
      control.lr_factor.defined() ? control.lr_factor.data<float>() : nullptr;
  const auto* const halted =
      control.halted.defined() ? control.halted.data<std::int32_t>() : nullptr;
  Table table{.rule = SgdRule(hyper),
              .lr_factor = lr_factor,
              .halted = halted,
              .parameters = 0,
              .parameter = {}};
  int chunks = 0;
  const auto flush = [&] {
    if (chunks > 0) {
      launch(gpu, {dim3(static_cast<unsigned>(chunks)), dim3(kThreads)}, update_chunks, table);
    }
    table.parameters = 0;
    chunks = 0;
  };
  for (const SgdItem& item : items) {
    const std::int64_t count = item.weight.numel();
    if (count == 0) continue;
    table.parameter[table.parameters++] = {
        .weight = item.weight.data<float>(),
        .gradient = item.gradient.data<float>(),
        .momentum = item.momentum.data<float>(),
        .copy = item.copy.defined() ? item.copy.data<BFloat16>() : nullptr,
        .count = count,
        .first_chunk = chunks,
        .fresh = item.first || hyper.momentum == 0};
    chunks += static_cast<int>((count + kChunk - 1) / kChunk);
    if (table.parameters == kMost) flush();
  }
  flush();
}

}  // namespace invp::cuda
