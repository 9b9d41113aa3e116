// What the map should show: p_ij, the probability that i and j are neighbors.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// The k nearest other rows of every row: `rows` (n, k) in ascending order of row, and their
/// squared Euclidean distances.
struct NearestRows {
  std::int64_t k = 0;
  std::vector<std::int32_t> rows;
  std::vector<double> distances2;
};

/// Exact. `data` (n, d) f32 on the host; 1 <= k < n; ties are broken
/// the same way on every run. `progress(done, n)` is called now and then; if it returns false, the
/// search ends and returns nothing.
std::optional<NearestRows> nearest_rows(
    const Tensor& data, std::int64_t k,
    const std::function<bool(std::int64_t done, std::int64_t total)>& progress);

/// The probabilities of row i's neighbors: p_j = exp(-beta d_ij^2) / sum, where beta makes their
/// entropy ln(perplexity) to within 1e-5. Squared distances in, probabilities out.
void calibrate_row(std::span<const double> distances2, double perplexity, std::span<double> p);

/// A sparse symmetric matrix whose elements sum up to 1: row i holds the columns
/// [begin[i], begin[i + 1]), ascending.
struct Affinities {
  std::vector<std::int64_t> begin;
  std::vector<std::int32_t> columns;
  std::vector<float> values;
  std::int64_t size() const { return std::ssize(begin) - 1; }
};

/// p_ij = (p_j|i + p_i|j) / 2, divided by the sum of all.
Affinities joint_affinities(const NearestRows& nearest, double perplexity);

}  // namespace invp
