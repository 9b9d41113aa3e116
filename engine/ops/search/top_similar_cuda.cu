// One pass over the bank. A query's threshold comes from a sample of the bank, aimed so that
// somewhat too many rows reach it; those are listed while their similarity is still in a register
// (an approximate one on tensor cores, so that the exact one is computed later), and the best of
// the list are taken. If the list is too short or too long, further passes find the exact threshold
// digit by digit and make the list again. The kernels for that are always queued, because the host
// does not wait; they end at once where there is nothing to do. The sample decides the speed, not
// the answer.
#include <algorithm>
#include <cmath>

#include "engine/ops/search/top_similar.h"
#include "engine/ops/search/top_similar_cuda.cuh"
#include "engine/ops/search/top_similar_plan.h"

namespace invp::cuda {

SearchPlan plan_search(std::int64_t rows, std::int64_t count) {
  constexpr std::int64_t kMostSamples = 32768;
  constexpr std::int64_t kFewestSamples = 512;
  constexpr std::int64_t kRowsASample = 16;
  constexpr double kRoots = 6;
  const SearchPlan all{.capacity = rows};
  const std::int64_t wanted = std::min(rows / kRowsASample, kMostSamples);
  if (wanted < kFewestSamples) return all;

  SearchPlan plan{.stride = rows / wanted};
  plan.samples = rows / plan.stride;
  const double rows_a_sample = static_cast<double>(rows) / static_cast<double>(plan.samples);
  const double expected = static_cast<double>(count) / rows_a_sample;
  plan.rank = static_cast<std::int64_t>(expected + kRoots * std::sqrt(expected) + 4);
  const double rank = static_cast<double>(plan.rank);
  plan.capacity = static_cast<std::int64_t>((rank + kRoots * std::sqrt(rank) + 16) * rows_a_sample);
  plan.tensor_cores = true;
  return plan.capacity < rows ? plan : all;
}

namespace {

/// list_rows with tensor cores, but for queries whose cut is too low (too few rows pass: their
/// lists stay empty) or that list more rows than the best.
void list_best_rows(const Tensor& queries, const Tensor& bank, std::int64_t count, Cut* cuts,
                    const CandidateLists& lists) {
  const Device device = bank.device();
  const std::int64_t batch = queries.dim(0);
  const std::int64_t capacity = std::min(2 * std::int64_t{lists.capacity}, bank.dim(0));
  const Tensor candidates = Tensor::empty({batch, capacity, sizeof(Candidate)}, DType::kU8, device);
  const Tensor found = Tensor::zeros({batch}, DType::kI32, device);
  const Tensor slack = Tensor::empty({batch}, DType::kF32, device);
  const Tensor longest = Tensor::zeros({1}, DType::kI32, device);
  const Tensor left_over = Tensor::empty({batch, sizeof(Cut)}, DType::kU8, device);
  const CollectedRows collected{
      {static_cast<Candidate*>(candidates.raw()), found.data<int>(), static_cast<int>(capacity)},
      slack.data<float>(),
      longest.data<int>()};
  collect_rows(queries, bank, cuts, collected);
  rescore_rows(queries, bank, count, collected, cuts, lists, static_cast<Cut*>(left_over.raw()));
  list_rows(queries, bank, static_cast<Cut*>(left_over.raw()), lists);
}

}  // namespace

void top_similar(const Tensor& queries, const Tensor& bank, const SearchPlan& plan,
                 const Tensor& rows, const Tensor& similarities) {
  const std::int64_t batch = queries.dim(0);
  const std::int64_t count = rows.dim(1);
  if (batch == 0) return;
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Device device = bank.device();
  const Tensor cut_storage = Tensor::empty({batch, sizeof(Cut)}, DType::kU8, device);
  auto* const cuts = static_cast<Cut*>(cut_storage.raw());
  {
    const Tensor sample = Tensor::empty({batch, plan.samples}, DType::kF32, device);
    if (plan.rank > 0) sample_bank(queries, bank, plan.stride, sample);
    choose_thresholds(sample, plan.rank, cuts);
  }

  const Tensor candidates =
      Tensor::empty({batch, plan.capacity, sizeof(Candidate)}, DType::kU8, device);
  const Tensor found = Tensor::zeros({batch}, DType::kI32, device);
  const CandidateLists lists{static_cast<Candidate*>(candidates.raw()), found.data<int>(),
                             static_cast<int>(plan.capacity)};
  if (plan.tensor_cores && fits_tensor_cores(queries, bank)) {
    list_best_rows(queries, bank, count, cuts, lists);
  } else {
    list_rows(queries, bank, cuts, lists);
  }
  find_exact_cuts(queries, bank, count, lists, cuts);
  list_rows(queries, bank, cuts, lists);
  write_best(lists, bank.dim(0), rows, similarities);
}

void top_similar(const Tensor& queries, const Tensor& bank, const Tensor& rows,
                 const Tensor& similarities) {
  top_similar(queries, bank, plan_search(bank.dim(0), rows.dim(1)), rows, similarities);
}

}  // namespace invp::cuda
