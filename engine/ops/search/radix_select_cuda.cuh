// Finds the key that exactly `keep` of many keys reach, without a sort. A histogram of the keys'
// first digits gives the first digit of that key; a histogram of the second digits, over the keys
// that begin with it, gives the second; and so on, until all keys that begin with these digits
// belong to `keep`.
//
// Keys are those of candidates_cuda.cuh: a similarity above, a row number below.
#pragma once

#include "engine/core/cuda_scan.cuh"
#include "engine/core/host_device.h"

namespace invp::cuda {

inline constexpr int kBins = 1 << 11;

/// Bits [lower, upper) of a key.
struct Digit {
  int lower;
  int upper;

  __device__ int of(std::uint64_t key) const {
    return static_cast<int>(key >> lower & ((std::uint64_t{1} << (upper - lower)) - 1));
  }
  __device__ bool same_above(std::uint64_t a, std::uint64_t b) const {
    return upper == 64 || a >> upper == b >> upper;
  }
};

inline constexpr Digit kFirstDigit{53, 64};

/// Bits of a row number.
HOST_DEVICE constexpr int row_bits(std::int64_t rows) {
  int bits = 0;
  while ((rows - 1) >> bits != 0) ++bits;
  return bits;
}

/// What follows: three digits for the similarity, then as many as row numbers need. The upper bit
/// of the digit after the last is 0.
HOST_DEVICE constexpr Digit next_digit(Digit digit, std::int64_t rows) {
  constexpr int kWidth = 11;
  constexpr int kRow = 32;
  const int upper = digit.lower == kRow ? row_bits(rows) : digit.lower;
  const int end = upper > kRow ? kRow : 0;
  return {upper - kWidth > end ? upper - kWidth : end, upper};
}

/// The bin of the keep-th largest of the keys counted, how many lie in bins above and how many in
/// it. The bin is -1 if fewer than keep were counted.
struct BinChoice {
  int bin;
  int above;
  int inside;
};

/// All threads of a block must call; their number divides kBins. Starts and ends with a barrier.
__device__ inline BinChoice choose_bin(const int* counts, int keep) {
  __shared__ BinChoice choice;
  const int share = kBins / static_cast<int>(blockDim.x);
  const int top = kBins - static_cast<int>(threadIdx.x) * share;
  __syncthreads();
  int own = 0;
  for (int bin = top - share; bin < top; ++bin) own += counts[bin];
  const BlockSum sum = sum_before_in_block(own);
  if (sum.before < keep && keep <= sum.before + own) {
    choice = {top - 1, sum.before, counts[top - 1]};
    while (choice.above + choice.inside < keep) {
      choice.above += choice.inside;
      choice.inside = counts[--choice.bin];
    }
  }
  if (threadIdx.x == 0 && sum.total < keep) choice.bin = -1;
  __syncthreads();
  return choice;
}

/// ++counts[bin] for every lane that is `counted`. Similarities share few leading digits, so lanes
/// of one bin add together. All lanes of a warp must call.
__device__ inline void count_together(bool counted, int bin, int* counts) {
  const unsigned peers = __match_any_sync(kAllLanes, counted ? bin : kBins);
  const int first = __ffs(static_cast<int>(peers)) - 1;
  if (counted && static_cast<int>(threadIdx.x) % kWarp == first) {
    atomicAdd(&counts[bin], __popc(peers));
  }
}

/// A key that exactly `keep` of the distinct keys key_at(0), ... key_at(count - 1) reach; they
/// number rows below `rows`, and at least `keep` of them there are. All threads of a block must
/// call, and all get it.
template <class KeyAt>
__device__ std::uint64_t select_key(std::int64_t count, int keep, std::int64_t rows,
                                    const KeyAt& key_at) {
  constexpr int kAtOnce = 4;
  __shared__ int counts[kBins];
  std::uint64_t found = 0;
  for (Digit digit = kFirstDigit; digit.upper > 0; digit = next_digit(digit, rows)) {
    for (unsigned bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[bin] = 0;
    __syncthreads();
    for (std::int64_t first = threadIdx.x; first - threadIdx.x < count;
         first += kAtOnce * blockDim.x) {
      std::uint64_t keys[kAtOnce];
      bool counted[kAtOnce];
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        const std::int64_t i = first + j * static_cast<std::int64_t>(blockDim.x);
        keys[j] = i < count ? key_at(i) : 0;
        counted[j] = i < count && digit.same_above(keys[j], found);
      }
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j) {
        count_together(counted[j], digit.of(keys[j]), counts);
      }
    }
    const BinChoice choice = choose_bin(counts, keep);
    found |= static_cast<std::uint64_t>(choice.bin) << digit.lower;
    keep -= choice.above;
    if (choice.inside == keep) break;
  }
  return found;
}

}  // namespace invp::cuda
