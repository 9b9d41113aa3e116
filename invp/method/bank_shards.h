// A memory bank whose rows are spread over ranks, so that each keeps 1/S of it: row i is row i / S
// of shard i mod S (shard_rows.h). Every answer is exactly that of the whole bank. MemoryBank is
// the one who asks.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/comm/communicator.h"
#include "engine/ops/search/shard_rows.h"

namespace invp {

/// How many of its best rows a shard sends at first, of the `count` best of the whole bank that are
/// sought for each of `queries`. Were rows dealt to S shards by chance, one of them would have
/// about Poisson(count / S) of the best. The answer m is the least with S queries P(more than m) <=
/// 1e-9: one search in 10^9 has to be done again. Shards are not dealt by chance, which costs time
/// then, never a wrong answer.
std::int64_t answers_of_shard(std::int64_t count, int shards, std::int64_t queries);

/// All functions but update() and those that only tell are collective: all ranks that hold a shard
/// call them in the same order, each with queries of its own. `rows`: the shard, (own_rows, d).
class BankShards {
 public:
  /// Of a bank of `images` rows, on the ranks of one machine or all.
  BankShards(std::shared_ptr<Communicator> ranks, std::int64_t images);

  std::int64_t images() const { return images_; }
  Shard shard() const { return shard_; }
  std::int64_t own_rows() const { return shard_.rows_of(images_); }
  const std::shared_ptr<Communicator>& ranks() const { return ranks_; }

  /// The most queries that any rank brings to a call from here on: the same number on all ranks,
  /// since they send as many whether they have them or not.
  void expect(std::int64_t queries) { most_queries_ = queries; }

  /// How many blocks of at most `block` queries the rank that has the most of them asks about,
  /// where this one has `queries`: all ranks ask as often, and expect so many.
  std::int64_t rounds(std::int64_t queries, std::int64_t block);

  // As the functions of MemoryBank. A search does not throw for NaN: a query that cannot be
  // answered gets rows of -1 and similarities of NaN, so that all ranks go on together.
  TopSimilar search(const Tensor& rows, const Tensor& queries, std::int64_t count) const;
  Tensor similarities(const Tensor& rows, const Tensor& queries, const Tensor& images) const;
  /// Weights times rows are added as integers in units of 2^-50: exact, so the same for any S.
  void add_weighted(const Tensor& rows, const Tensor& total, const Tensor& images,
                    const Tensor& weights) const;
  Tensor take(const Tensor& rows, const Tensor& images) const;
  /// `images` and `embeddings` are those of all ranks.
  void update(const Tensor& rows, const Tensor& images, const Tensor& embeddings, float momentum,
              const Tensor& halted) const;

  /// Searches that were done again because the first answers did not prove themselves.
  std::int64_t repaired() const { return repaired_; }

 private:
  Tensor gather(const char* name, const Tensor& mine) const;
  Tensor exchange(const char* name, const Tensor& answers) const;
  Tensor own_answers(const char* name, const Tensor& answers, std::int64_t queries) const;
  bool any_rank(bool uncertain) const;

  std::shared_ptr<Communicator> ranks_;
  Shard shard_;
  std::int64_t images_;
  std::int64_t most_queries_ = 0;
  mutable std::int64_t repaired_ = 0;
};

/// The communicator of the ranks on this rank's machine, by its name. A collective call.
std::shared_ptr<Communicator> ranks_of_machine(Communicator& ranks);

}  // namespace invp
