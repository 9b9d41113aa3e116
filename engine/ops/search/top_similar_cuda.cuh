// The parts of the bank search on the GPU, in the order in which top_similar_cuda.cu runs them.
// Each queues kernels and returns; none reads what another computed on the host.
#pragma once

#include "engine/core/tensor.h"
#include "engine/ops/search/candidates_cuda.cuh"

namespace invp::cuda {

/// Candidates of each query, in any order, as they were found.
struct CandidateLists {
  Candidate* candidates;  ///< (B, capacity)
  int* found;             ///< (B): those past the capacity are counted but not written
  int capacity;

  __device__ Candidate* of(std::int64_t query) const { return candidates + query * capacity; }
};

/// similarities[q][i] = queries[q] . bank[i stride]; similarities is (B, samples) f32.
void sample_bank(const Tensor& queries, const Tensor& bank, std::int64_t stride,
                 const Tensor& similarities);

/// cuts[q] = the rank-th largest of a query's similarities or a little less, any row; at minus
/// infinity where NaN leaves fewer than that, and for rank 0.
void choose_thresholds(const Tensor& similarities, std::int64_t rank, Cut* cuts);

/// Adds to each query's list every row of the bank that passes its cut, with its exact similarity.
void list_rows(const Tensor& queries, const Tensor& bank, const Cut* cuts,
               const CandidateLists& lists);

/// Whether the two functions below take these: D a multiple of 8 up to 256, rows aligned to 16
/// bytes.
bool fits_tensor_cores(const Tensor& queries, const Tensor& bank);

/// Rows that may pass a query's cut, each with a lower bound of its similarity (NaN and infinities
/// where there is none). The upper bound lies at most 2 slack longest above it.
struct CollectedRows {
  CandidateLists lists;
  float* slack;  ///< (B): times the norm of a row, how far its approximate similarity may be off
  int* longest;  ///< one: the bits of a bound of all rows' norms, starts at 0
};

/// Adds every row of the bank that passes its query's cut, and some that do not. No cut is NaN.
void collect_rows(const Tensor& queries, const Tensor& bank, const Cut* cuts,
                  const CollectedRows& collected);

/// For each query of which `count` rows or more were collected: raises its cut to where at least
/// `count` of them still pass, if all of them had room, and adds to its list those that pass, with
/// their exact similarity. The cuts of queries whose rows had no room are copied to `left_over`,
/// all others there become NaN.
void rescore_rows(const Tensor& queries, const Tensor& bank, std::int64_t count,
                  const CollectedRows& collected, Cut* cuts, const CandidateLists& lists,
                  Cut* left_over);

/// For each query whose list holds fewer than `count` rows or more than it has room for: empties
/// the list and finds the cut that exactly `count` rows of the bank pass. The cuts of the others,
/// and of those to which fewer than `count` rows compare, become NaN.
void find_exact_cuts(const Tensor& queries, const Tensor& bank, std::int64_t count,
                     const CandidateLists& lists, Cut* cuts);

/// The best of each list, rows ascending; -1 and NaN for lists that are too short.
void write_best(const CandidateLists& lists, std::int64_t bank_rows, const Tensor& rows,
                const Tensor& similarities);

}  // namespace invp::cuda
