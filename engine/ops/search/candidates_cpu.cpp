#include "engine/ops/search/candidates_cpu.h"

#include <algorithm>
#include <cstring>
#include <functional>

namespace invp::cpu {

float keep_best(std::span<Candidate> candidates, std::int64_t keep, std::vector<float>& scratch) {
  // Selecting among bare floats moves half the bytes, and leaves the candidates in order.
  scratch.resize(candidates.size());
  std::ranges::transform(candidates, scratch.begin(), &Candidate::similarity);
  const auto cut = scratch.begin() + (keep - 1);
  std::nth_element(scratch.begin(), cut, scratch.end(), std::greater<>());
  const float lowest = *cut;

  std::int64_t ties = keep - std::count_if(scratch.begin(), cut, [lowest](float similarity) {
                        return similarity > lowest;
                      });
  std::ignore = std::remove_if(candidates.begin(), candidates.end(), [&](const Candidate& c) {
    return c.similarity < lowest || (c.similarity == lowest && ties-- <= 0);
  });
  return lowest;
}

void CandidateList::grow() {
  constexpr std::int64_t kSmallest = 256;
  const std::int64_t capacity = std::max(kSmallest, 2 * capacity_);
  const MemoryScope scope(MemoryUse::kWorkspace);
  const std::shared_ptr<std::byte> larger =
      allocate(static_cast<std::size_t>(capacity) * sizeof(Candidate), kCpu);
  if (size_ > 0) {
    std::memcpy(larger.get(), storage_.get(), static_cast<std::size_t>(size_) * sizeof(Candidate));
  }
  storage_ = larger;
  capacity_ = capacity;
}

}  // namespace invp::cpu
