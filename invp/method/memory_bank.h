// The memory bank of InvP: for every training image a running mean of its embeddings (paper,
// section 3.1), and the questions that the method asks of it. Rows are asked for by the numbers of
// their images, so that nothing outside depends on where a row is stored.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/core/tensor.h"
#include "engine/ops/search/top_similar.h"
#include "invp/method/bank_shards.h"

namespace invp {

/// Arguments and answers are tensors on the bank's device. A query is (d) f32; lists of images are
/// i32, below size(), and end in -1 where they are shorter than the tensor is wide. Throws Error
/// for other shapes and dtypes. The rows may be spread over ranks (bank_shards.h): then the
/// questions are collective calls, in which each rank asks for what it wants to know, of at most as
/// many queries as expect_queries() said.
class MemoryBank {
 public:
  /// `images` rows of `dim` values, uniform in +-1/sqrt(dim / 3), so that the expected squared
  /// length is 1. Row i is a function of (seed, i) alone.
  MemoryBank(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype = DType::kF32,
             Device device = kCpu);
  /// The same rows, spread over these ranks.
  MemoryBank(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype, Device device,
             std::shared_ptr<Communicator> shards);
  /// Rows made elsewhere, (n, d) f32 or bf16, shared and not copied.
  explicit MemoryBank(Tensor rows);
  /// This rank's rows of a bank that is spread, of `images` in all.
  MemoryBank(Tensor own, std::int64_t images, std::shared_ptr<Communicator> shards);

  std::int64_t size() const { return shards_ ? shards_->images() : rows_.dim(0); }
  std::int64_t dim() const { return rows_.dim(1); }
  Device device() const { return rows_.device(); }
  /// What this process keeps.
  std::int64_t nbytes() const { return static_cast<std::int64_t>(rows_.nbytes()); }

  /// Null where all rows are here.
  const BankShards* shards() const { return shards_.get(); }
  /// The most queries that any rank asks about at once from here on, the same number on all ranks.
  /// Nothing to a bank that is not spread.
  void expect_queries(std::int64_t most) const {
    if (shards_) shards_->expect(most);
  }
  /// How many blocks of at most `block` a rank with `queries` of them asks about. Where rows are
  /// spread a collective call, and those of the rank that has the most: the others ask about
  /// nothing then, so that all go together.
  std::int64_t rounds(std::int64_t queries, std::int64_t block) const {
    return shards_ ? shards_->rounds(queries, block) : (queries + block - 1) / block;
  }

  /// The `count` images whose rows are most similar to each query, exactly (top_similar.h):
  /// queries (b, d) -> images and similarities (b, min(count, n)).
  TopSimilar search(const Tensor& queries, std::int64_t count) const;
  /// s_ij = query i . row j for the images j of list i: queries (b, d), images (b, w) -> (b, w)
  /// f32, 0 at -1.
  Tensor similarities(const Tensor& queries, const Tensor& images) const;
  /// total[i] += sum over j of weights[i][j] row images[i][j]: total (b, d) f32, images (b, w),
  /// weights (b, w) f32.
  void add_weighted(const Tensor& total, const Tensor& images, const Tensor& weights) const;
  /// The rows of `images` (b) as (b, d) f32.
  Tensor take(const Tensor& images) const;

  /// Not collective: where rows are spread, all ranks give the images and embeddings of all, and
  /// each moves its own rows.
  /// row i <- normalise(momentum * row i + (1 - momentum) * v), for each of `images` (b) with its v
  /// of `embeddings` (b, d) f32, in this order: an image that comes twice moves twice. Does nothing
  /// if `halted`, one i32, is given and not 0.
  void update(const Tensor& images, const Tensor& embeddings, float momentum,
              const Tensor& halted = {});

  /// (n, d), of a bank that is spread those here; for checkpoints and tests only.
  const Tensor& rows() const { return rows_; }

 private:
  std::shared_ptr<BankShards> shards_;
  Tensor rows_;
};

}  // namespace invp
