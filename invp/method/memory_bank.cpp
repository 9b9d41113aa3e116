#include "invp/method/memory_bank.h"

#include <cmath>

#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/ops/search/bank_rows.h"

namespace invp {

namespace {

Tensor random_rows(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype,
                   Shard shard = {}) {
  CHECK(images >= 1 && dim >= 1, "[bank] needs at least one image and one dimension, got ", images,
        " and ", dim);
  const MemoryScope scope(MemoryUse::kBank);
  const std::int64_t count = shard.rows_of(images);
  Tensor rows = Tensor::empty({count, dim}, dtype);
  const double limit = 1 / std::sqrt(static_cast<double>(dim) / 3);
  const double unit = std::ldexp(2 * limit, -32);
  constexpr std::int64_t kGrain = 64;
  dispatch_floating(dtype, "bank", [&]<class T>(T) {
    parallel_for(0, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t image = i * shard.count + shard.index;
        Random random(seed, Purpose::kBank, 0, static_cast<std::uint64_t>(image));
        T* row = rows.data<T>() + i * dim;
        for (std::int64_t k = 0; k < dim; ++k) {
          row[k] = T(static_cast<float>(unit * (random.bits() + 0.5) - limit));
        }
      }
    });
  });
  return rows;
}

}  // namespace

MemoryBank::MemoryBank(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype,
                       Device device)
    : rows_([&] {
        const MemoryScope scope(MemoryUse::kBank);
        return random_rows(images, dim, seed, dtype).to(device);
      }()) {}

MemoryBank::MemoryBank(std::int64_t images, std::int64_t dim, std::uint64_t seed, DType dtype,
                       Device device, std::shared_ptr<Communicator> shards)
    : shards_(std::make_shared<BankShards>(std::move(shards), images)), rows_([&] {
        const MemoryScope scope(MemoryUse::kBank);
        return random_rows(images, dim, seed, dtype, shards_->shard()).to(device);
      }()) {}

MemoryBank::MemoryBank(Tensor own, std::int64_t images, std::shared_ptr<Communicator> shards)
    : MemoryBank(std::move(own)) {
  shards_ = std::make_shared<BankShards>(std::move(shards), images);
  CHECK(rows_.dim(0) == shards_->own_rows(), "[bank] shard ", shards_->shard().index, " of ",
        images, " rows has ", shards_->own_rows(), ", not ", rows_.dim(0));
}

MemoryBank::MemoryBank(Tensor rows) : rows_(std::move(rows)) {
  CHECK(rows_.rank() == 2 && (rows_.dtype() == DType::kF32 || rows_.dtype() == DType::kBF16),
        "[bank] must be f32 or bf16 of shape (n, d), got ", rows_.dtype(), " ", rows_.shape());
}

TopSimilar MemoryBank::search(const Tensor& queries, std::int64_t count) const {
  return shards_ ? shards_->search(rows_, queries, count) : top_similar(queries, rows_, count);
}

Tensor MemoryBank::similarities(const Tensor& queries, const Tensor& images) const {
  return shards_ ? shards_->similarities(rows_, queries, images)
                 : row_similarities(queries, rows_, images);
}

void MemoryBank::add_weighted(const Tensor& total, const Tensor& images,
                              const Tensor& weights) const {
  if (shards_) return shards_->add_weighted(rows_, total, images, weights);
  add_weighted_rows(total, rows_, images, weights);
}

Tensor MemoryBank::take(const Tensor& images) const {
  return shards_ ? shards_->take(rows_, images) : take_rows(rows_, images);
}

void MemoryBank::update(const Tensor& images, const Tensor& embeddings, float momentum,
                        const Tensor& halted) {
  if (shards_) return shards_->update(rows_, images, embeddings, momentum, halted);
  blend_rows(rows_, images, embeddings, momentum, halted);
}

}  // namespace invp
