// A bank that is spread over ranks answers as the whole bank does, to the bit.
#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <optional>

#include "engine/comm/comm_mpi.h"
#include "engine/core/parallel.h"
#include "invp/method/memory_bank.h"
#include "invp/run/share_checkpoint.h"
#include "invp/run/spread_rows.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/close.h"
#include "tests/support/values.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kDim = 8;

std::shared_ptr<Communicator> join() {
  set_num_threads(1);
  return join_mpi(deadline_watch(start_mpi(), Seconds(60)));
}

Shard shard_of(const Communicator& ranks) {
  return {.index = ranks.ranks().rank, .count = ranks.ranks().size};
}

/// The rows of the whole bank that this rank keeps.
MemoryBank spread(const Tensor& whole, const std::shared_ptr<Communicator>& ranks) {
  const Shard shard = shard_of(*ranks);
  const Tensor own = Tensor::empty({shard.rows_of(whole.dim(0)), whole.dim(1)}, whole.dtype());
  for (std::int64_t i = 0; i < own.dim(0); ++i) {
    const std::int64_t row = i * shard.count + shard.index;
    own.slice(i, i + 1).copy_from(whole.slice(row, row + 1));
  }
  return {own, whole.dim(0), ranks};
}

Tensor random_rows(std::uint64_t seed, std::int64_t rows) {
  return tensor(random_values(seed, rows * kDim), {rows, kDim});
}

/// A rank's queries: the first rank has the most, the last none.
Tensor queries_of(const Communicator& ranks, std::uint64_t seed) {
  const auto [rank, size, local_rank, local_size] = ranks.ranks();
  return random_rows(seed + static_cast<std::uint64_t>(rank), size - 1 - rank);
}

void expect_same(const TopSimilar& got, const TopSimilar& want) {
  expect_identical(got.rows, want.rows);
  expect_identical(got.similarities, want.similarities);
}

/// Searches of both forms. How many had to be done again.
std::int64_t expect_same_search(const std::shared_ptr<Communicator>& ranks, const Tensor& whole,
                                const Tensor& queries, std::int64_t count) {
  const MemoryBank bank = spread(whole, ranks);
  bank.expect_queries(std::max<std::int64_t>(ranks->ranks().size, queries.dim(0)));
  const TopSimilar got = bank.search(queries, count);
  EXPECT_EQ(got.rows.shape(), (Shape{queries.dim(0), std::min(count, whole.dim(0))}));
  if (queries.dim(0) > 0) expect_same(got, MemoryBank(whole).search(queries, count));
  return bank.shards()->repaired();
}

RANKS_TEST(BankShards, FindWhatTheWholeBankHas, 1, 2, 3, 4, 8) {
  const auto ranks = join();
  for (const std::int64_t rows : {1, 2, 5, 7, 64, 3001}) {
    for (const std::int64_t count : {1, 4, 200, 5000}) {
      SCOPED_TRACE(message(rows, " rows, ", count, " wanted"));
      expect_same_search(ranks, random_rows(3, rows), queries_of(*ranks, 5), count);
    }
  }
}

// All of the best lie in one shard: what it sends at first is not enough, and it shows.
RANKS_TEST(BankShards, ProveTheirAnswersOrSearchAgain, 2, 4) {
  const auto ranks = join();
  const int size = ranks->ranks().size;
  constexpr std::int64_t kRows = 8000;
  constexpr std::int64_t kWanted = 1000;
  const Tensor queries = tensor(random_values(9, 3 * kDim, 0.5, 1), {3, kDim});
  const Tensor even = random_rows(11, kRows);
  EXPECT_EQ(expect_same_search(ranks, even, queries, kWanted), 0);
  const Tensor clustered = even.clone();
  for (std::int64_t row = 1; row < kRows; row += size) {
    for (std::int64_t k = 0; k < kDim; ++k)
      clustered.data<float>()[row * kDim + k] = 4 + std::abs(even.data<float>()[row * kDim + k]);
  }
  EXPECT_EQ(expect_same_search(ranks, clustered, queries, kWanted), 1);
  // The cluster only one rank's query looks for: all ranks search again.
  const Tensor away = tensor(random_values(9, 3 * kDim, -1, -0.5), {3, kDim});
  EXPECT_EQ(
      expect_same_search(ranks, clustered, ranks->ranks().rank == 1 ? queries : away, kWanted), 1);
  // The shard has as many good rows as it sends, so it may have more; or one less, and the last
  // that it sends is worse than all that count.
  const std::int64_t sent = answers_of_shard(kWanted, size, std::max(size, 3) * size);
  for (const std::int64_t less : {0, 1}) {
    const Tensor least = random_rows(12, kRows);
    for (std::int64_t i = 0; 1 + i * size < kRows; ++i) {
      const float value = i < sent - less ? 9 + 0.001F * static_cast<float>(i) : -9;
      least.slice(1 + i * size, 2 + i * size).copy_from(Tensor::full({1, kDim}, value));
    }
    EXPECT_EQ(expect_same_search(ranks, least, queries, kWanted), 1 - less) << less;
  }
}

// Of equal rows the lower ones count, whichever shard they are in.
RANKS_TEST(BankShards, TakeTheLowerOfEqualRows, 2, 3, 4) {
  const auto ranks = join();
  const Tensor same = Tensor::full({500, kDim}, 0.25F);
  expect_same_search(ranks, same, queries_of(*ranks, 5), 100);
  const Tensor few = random_rows(13, 500);
  for (std::int64_t i = 0; i < 500; ++i) few.slice(i, i + 1).copy_from(random_rows(i * 7 % 5, 1));
  expect_same_search(ranks, few, queries_of(*ranks, 5), 130);
  // Equal rows in one shard alone, more than it sends.
  const int size = ranks->ranks().size;
  const Tensor one = Tensor::full({4000, kDim}, -1.0F);
  for (std::int64_t row = 0; row < 4000; row += size)
    one.slice(row, row + 1).copy_from(Tensor::full({1, kDim}, 1.0F));
  EXPECT_EQ(expect_same_search(ranks, one, Tensor::full({2, kDim}, 1.0F), 900), 1);
}

// Rows that are no numbers are passed over, in whichever shard; a query that is none, or that has
// too few rows left, gets an answer that says so, and does not keep the other ranks waiting.
RANKS_TEST(BankShards, PassOverNaN, 2, 3) {
  const auto ranks = join();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Tensor whole = random_rows(17, 60);
  const auto spoil = [&](std::int64_t row) { whole.data<float>()[row * kDim] = nan; };
  for (const std::int64_t row : {1, 3, 5, 7, 9, 11, 13}) spoil(row);
  expect_same_search(ranks, whole, queries_of(*ranks, 5), 10);
  expect_same_search(ranks, whole, queries_of(*ranks, 5), 53);
  const MemoryBank bank = spread(whole, ranks);
  bank.expect_queries(2);
  const Tensor queries = random_rows(19, 2);
  for (const std::int32_t row : bank.search(queries, 54).rows.span<std::int32_t>())
    EXPECT_EQ(row, -1);
  if (ranks->ranks().rank == 1) queries.data<float>()[kDim] = nan;
  const TopSimilar best = bank.search(queries, 10);
  const bool broken = ranks->ranks().rank == 1;
  expect_identical(best.rows.slice(0, 1), MemoryBank(whole).search(queries.slice(0, 1), 10).rows);
  EXPECT_EQ(best.rows.slice(1, 2).span<std::int32_t>().front() < 0, broken);
  EXPECT_EQ(std::isnan(best.similarities.slice(1, 2).span<float>().front()), broken);
}

RANKS_TEST(BankShards, AnswerAllOtherQuestions, 1, 2, 3, 8) {
  const auto ranks = join();
  const Tensor whole = random_rows(23, 41);
  const MemoryBank here(whole);
  const MemoryBank bank = spread(whole, ranks);
  bank.expect_queries(8);
  const Tensor queries = queries_of(*ranks, 29);
  const std::int64_t batch = queries.dim(0);
  Random random(31 + static_cast<std::uint64_t>(ranks->ranks().rank), Purpose::kSynthetic);
  const Tensor images = Tensor::empty({batch, 7}, DType::kI32);
  const Tensor weights = Tensor::empty({batch, 7});
  for (std::int32_t& image : images.span<std::int32_t>())
    image = static_cast<std::int32_t>(random.integer(-1, 40));
  for (float& weight : weights.span<float>()) weight = static_cast<float>(random.uniform(-1, 1));

  const Tensor similarities = bank.similarities(queries, images);
  const Tensor total = Tensor::full({batch, kDim}, 2.0F);
  bank.add_weighted(total, images, weights);
  const Tensor first = Tensor::empty({batch}, DType::kI32);
  for (std::int64_t i = 0; i < batch; ++i)
    first.data<std::int32_t>()[i] = std::max(0, images.data<std::int32_t>()[i * 7]);
  const Tensor taken = bank.take(first);
  if (batch == 0) return;
  expect_identical(similarities, here.similarities(queries, images));
  expect_identical(taken, here.take(first));
  const Tensor want = Tensor::full({batch, kDim}, 2.0F);
  here.add_weighted(want, images, weights);
  expect_close(total, values_of(want), 7);
}

RANKS_TEST(BankShards, StartAndMoveAsTheWholeBank, 1, 3, 4) {
  const auto ranks = join();
  const Shard shard = shard_of(*ranks);
  MemoryBank here(50, kDim, 3);
  MemoryBank bank(50, kDim, 3, DType::kF32, kCpu, ranks);
  EXPECT_EQ(bank.size(), 50);
  EXPECT_EQ(bank.nbytes(), shard.rows_of(50) * kDim * 4) << "a part, not a copy";
  const Tensor images = Tensor::from(std::vector<std::int32_t>{4, 49, 0, 4, 7}, {5});
  const Tensor embeddings = random_rows(37, 5);
  here.update(images, embeddings, 0.5F);
  bank.update(images, embeddings, 0.5F);
  const Tensor halted = Tensor::from(std::vector<std::int32_t>{1}, {1});
  bank.update(images, embeddings, 0.5F, halted);
  expect_identical(bank.rows(), spread(here.rows(), ranks).rows());
}

// On two machines of two ranks each the bank is there twice, half of it on each rank.
RANKS_TEST(BankShards, AreThoseOfAMachine, 4) {
  const auto all = join();
  EXPECT_EQ(ranks_of_machine(*all)->ranks().size, 4) << "one machine here";
  const std::shared_ptr<Communicator> machine = all->split(all->ranks().rank % 2);
  const Tensor whole = random_rows(41, 777);
  expect_same_search(machine, whole, queries_of(*machine, 43), 50);
}

// A checkpoint is written from all shards, and read into them, in pieces: less than a row to all.
RANKS_TEST(SpreadRows, AreWholeInACheckpoint, 1, 2, 3, 4) {
  const auto ranks = join();
  const bool first = ranks->ranks().rank == 0;
  for (const std::int64_t rows : {1, 2, 7, 64}) {
    const Tensor whole = random_rows(47, rows);
    const Tensor own = spread(whole, ranks).rows();
    for (const std::int64_t piece : {1, 100, 32 * 9, 1 << 20}) {
      SCOPED_TRACE(message(rows, " rows in pieces of ", piece, " bytes"));
      const SpreadRows some("bank", own, rows, ranks, true, piece);
      expect_identical(some.own_of(whole), own);
      if (first) {
        std::vector<std::byte> written;
        for (int file = 0; file < 2; ++file) {
          written.clear();
          some.give([&](std::span<const std::byte> part) {
            written.insert(written.end(), part.begin(), part.end());
          });
        }
        some.dismiss();
        ASSERT_EQ(written.size(), whole.nbytes());
        EXPECT_EQ(std::memcmp(written.data(), whole.raw(), whole.nbytes()), 0);
      } else {
        some.serve();
      }
      Checkpoint checkpoint;
      checkpoint.file.tensors = {{"other", random_rows(1, 3)}, {"bank", whole}};
      const std::optional<Checkpoint> got =
          share_checkpoint(*ranks, first ? std::optional(checkpoint) : std::nullopt, &some);
      if (!first) expect_identical(*got->file.find("bank"), own);
      expect_identical(*got->file.find("other"), random_rows(1, 3));
      expect_identical(*with_own_rows(checkpoint, &some).file.find("bank"), own);
    }
  }
}

// The figures that the design was calculated with: 128 images a rank, 4096 of the background.
TEST(AnswersOfShard, FailOnceInABillionSearches) {
  for (const auto& [shards, answers] : {std::pair{8, 686}, {64, 136}, {1024, 31}})
    EXPECT_EQ(answers_of_shard(4096, shards, 128 * shards), answers) << shards;
  EXPECT_EQ(answers_of_shard(4096, 1, 128), 4096);
  EXPECT_EQ(answers_of_shard(1, 8, 1), 1);
  // The least such number: with one answer less, Poisson's tail is above 10^-9 per search.
  const auto tail = [](double mean, std::int64_t most) {
    double sum = 0;
    for (std::int64_t k = most + 400; k > most; --k)
      sum += std::exp(static_cast<double>(k) * std::log(mean) - mean -
                      std::lgamma(static_cast<double>(k) + 1));
    return sum;
  };
  for (const int shards : {2, 4, 16}) {
    const double mean = 4096.0 / shards;
    const std::int64_t queries = 256;
    const std::int64_t answers = answers_of_shard(4096, shards, queries);
    EXPECT_LE(tail(mean, answers) * shards * queries, 1e-9);
    EXPECT_GT(tail(mean, answers - 1) * shards * queries, 1e-9);
  }
}

}  // namespace
}  // namespace invp::testing
