#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/sgd_step.h"

namespace invp::cpu {

namespace {

struct Chunk {
  float* w;
  const float* g;
  float* v;
  std::int64_t count;
};

/// Every tensor cut into pieces of like size, so that threads share a few large and hundreds of
/// tiny ones evenly.
std::vector<Chunk> cut(std::span<const SgdSlot> slots) {
  constexpr std::int64_t kElements = 16384;
  std::vector<Chunk> chunks;
  for (const SgdSlot& slot : slots) {
    for (std::int64_t i = 0; i < slot.w.numel(); i += kElements) {
      chunks.push_back({slot.w.data<float>() + i, slot.g.data<float>() + i,
                        slot.v.data<float>() + i, std::min(kElements, slot.w.numel() - i)});
    }
  }
  return chunks;
}

}  // namespace

void sgd_step(std::span<const SgdSlot> slots, const SgdParams& params) {
  const std::vector<Chunk> chunks = cut(slots);
  parallel_for(0, std::ssize(chunks), 1, [&](std::int64_t begin, std::int64_t end) {
    const SgdParams p = params;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto [w, g, v, count] = chunks[static_cast<std::size_t>(i)];
#pragma omp simd
      for (std::int64_t j = 0; j < count; ++j) {
        const float d = g[j] + p.weight_decay * w[j];
        v[j] = p.momentum * v[j] + d;
        w[j] -= p.lr * v[j];
      }
    }
  });
}

}  // namespace invp::cpu
