// Rows of the bank that may be among the best of one query: a list that grows on demand, in memory
// that the engine counts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/core/memory.h"

namespace invp::cpu {

struct Candidate {
  float similarity;
  std::int32_t row;
};

/// Moves the `keep` most similar candidates to the front, in their old order, and returns the
/// lowest similarity among them. Of equals the earlier stay: with rows in ascending order, the
/// lower rows. Needs at least `keep` candidates and keep >= 1. `scratch` saves allocations between
/// calls.
float keep_best(std::span<Candidate> candidates, std::int64_t keep, std::vector<float>& scratch);

class CandidateList {
 public:
  void push(float similarity, std::int32_t row) {
    if (size_ == capacity_) grow();
    data()[size_++] = {similarity, row};
  }
  std::int64_t size() const { return size_; }
  void truncate(std::int64_t size) { size_ = size; }
  std::span<Candidate> all() const { return {data(), static_cast<std::size_t>(size_)}; }

 private:
  Candidate* data() const { return reinterpret_cast<Candidate*>(storage_.get()); }
  void grow();

  std::shared_ptr<std::byte> storage_;
  std::int64_t size_ = 0;
  std::int64_t capacity_ = 0;
};

}  // namespace invp::cpu
