// What the collective calls bring, against naive loops over what all ranks have.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/gather.h"
#include "tests/ranks/run_ranks.h"

namespace invp::testing {
namespace {

constexpr Seconds kDeadline{20};
/// Up to so many values everything is tried; the naive loops are slow.
constexpr std::int64_t kFew = 1000;

std::shared_ptr<Communicator> join(std::int64_t slice = std::int64_t{1} << 20) {
  return join_mpi(deadline_watch(start_mpi(), kDeadline), slice);
}

/// Value i of a rank: sums of these depend on the order.
double value_of(int rank, std::int64_t i) {
  const auto word = (static_cast<std::uint64_t>(i) * 31 + static_cast<std::uint64_t>(rank) + 1) *
                    0x9E3779B97F4A7C15;
  const double fraction = static_cast<double>(word >> 40) / (1 << 24) - 0.5;
  return fraction * static_cast<double>(std::uint64_t{1} << (word >> 8 & 31));
}

template <class T>
Tensor values(int rank, std::int64_t count) {
  const Tensor x = Tensor::empty({count}, DTypeOf<T>::value);
  for (std::int64_t i = 0; i < count; ++i) {
    const double value = value_of(rank, i);
    if constexpr (std::is_same_v<T, BFloat16>)
      x.span<T>()[i] = BFloat16(static_cast<float>(value));
    else
      x.span<T>()[i] = static_cast<T>(value);
  }
  return x;
}

/// The tree of the contract, written out: pairs, then pairs of these; an odd one waits. Empties
/// `parts`.
template <class T, class Combine>
T tree_of(std::vector<T>& parts, const Combine& combine) {
  while (parts.size() > 1) {
    std::size_t pairs = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); i += 2)
      parts[pairs++] = combine(parts[i], parts[i + 1]);
    if (parts.size() % 2 == 1) parts[pairs++] = parts.back();
    parts.resize(pairs);
  }
  return parts[0];
}

template <class T>
auto bits(T value) {
  return std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
}

/// The sum in which values are added, and how they come to it.
template <class T>
using Exact = std::conditional_t<std::is_same_v<T, BFloat16>, float, T>;

template <class T>
std::int64_t count_wrong(const Tensor& got, Reduction reduction, int ranks) {
  std::vector<Tensor> all;
  for (int rank = 0; rank < ranks; ++rank) all.push_back(values<T>(rank, got.numel()));
  std::int64_t wrong = 0;
  std::vector<Exact<T>> parts;
  for (std::int64_t i = 0; i < got.numel(); ++i) {
    parts.clear();
    for (const Tensor& x : all) parts.push_back(static_cast<Exact<T>>(x.data<T>()[i]));
    const T right(tree_of(parts, [&](Exact<T> a, Exact<T> b) {
      if (reduction == Reduction::kSum) return static_cast<Exact<T>>(a + b);
      return reduction == Reduction::kMax ? std::max(a, b) : std::min(a, b);
    }));
    wrong += bits(right) == bits(got.data<T>()[i]) ? 0 : 1;
  }
  return wrong;
}

template <class T>
void check_sums(Communicator& ranks, std::int64_t count) {
  for (const Reduction reduction : {Reduction::kSum, Reduction::kMax, Reduction::kMin}) {
    if (reduction != Reduction::kSum && count > kFew) break;
    const Tensor x = values<T>(ranks.ranks().rank, count);
    ranks.all_reduce("values", x, reduction);
    EXPECT_EQ(count_wrong<T>(x, reduction, ranks.ranks().size), 0)
        << count << " of " << x.dtype() << ", reduction " << static_cast<int>(reduction);
  }
}

template <class T>
void check_gather(Communicator& ranks, std::int64_t count) {
  const int size = ranks.ranks().size;
  const Tensor all = Tensor::zeros({size, count}, DTypeOf<T>::value);
  ranks.all_gather("values", values<T>(ranks.ranks().rank, count), all);
  for (int rank = 0; rank < size; ++rank) {
    const Tensor right = values<T>(rank, count);
    EXPECT_TRUE(count == 0 ||
                std::memcmp(right.raw(), all.slice(rank, rank + 1).raw(), right.nbytes()) == 0)
        << count << " of " << all.dtype() << " from rank " << rank;
  }
}

void check_exchange(Communicator& ranks, std::int64_t count) {
  const auto [mine, size, local_rank, local_size] = ranks.ranks();
  const auto sent = [&](int from, int to, std::int64_t i) {
    return static_cast<std::int32_t>((from * 100 + to) * 1000003 + i);
  };
  const Tensor in = Tensor::empty({size, count}, DType::kI32);
  const Tensor out = Tensor::zeros({size, count}, DType::kI32);
  for (int to = 0; to < size; ++to)
    for (std::int64_t i = 0; i < count; ++i)
      in.data<std::int32_t>()[to * count + i] = sent(mine, to, i);
  ranks.all_to_all("values", out, in);
  std::int64_t wrong = 0;
  for (int from = 0; from < size; ++from)
    for (std::int64_t i = 0; i < count; ++i)
      wrong += out.data<std::int32_t>()[from * count + i] != sent(from, mine, i);
  EXPECT_EQ(wrong, 0) << count;
}

void check_broadcast(Communicator& ranks, std::int64_t count) {
  const int last = ranks.ranks().size - 1;
  const Tensor x = values<float>(ranks.ranks().rank, count);
  ranks.broadcast("values", x, last);
  const Tensor right = values<float>(last, count);
  EXPECT_TRUE(count == 0 || std::memcmp(right.raw(), x.raw(), x.nbytes()) == 0) << count;
}

void check_all(Communicator& ranks, std::int64_t count) {
  check_sums<float>(ranks, count);
  check_sums<double>(ranks, count);
  check_sums<BFloat16>(ranks, count);
  check_sums<std::int64_t>(ranks, count);
  check_gather<float>(ranks, count);
  check_gather<std::uint8_t>(ranks, count);
  check_exchange(ranks, count);
  check_broadcast(ranks, count);
}

RANKS_TEST(Collectives, BringWhatANaiveLoopBrings, 1, 2, 3, 4, 8) {
  const auto ranks = join();
  for (const std::int64_t count : {0, 1, ranks->ranks().size - 1, 5'003}) check_all(*ranks, count);
  const std::int64_t many = 1'000'003;
  check_gather<float>(*ranks, many);
  check_exchange(*ranks, many / 4);
  check_broadcast(*ranks, many);
  const Tensor x = values<float>(ranks->ranks().rank, many);
  ranks->all_reduce("values", x);
  EXPECT_EQ(count_wrong<float>(x, Reduction::kSum, ranks->ranks().size), 0);
}

RANKS_TEST(Collectives, CutIntoSlicesBringTheSame, 3) {
  const auto ranks = join(64);
  for (const std::int64_t count : {1, 15, 16, 17, 999, 5'003}) check_all(*ranks, count);
}

// In any other order some of these sums are another number: 1e8 + 1 is 1e8 in f32.
RANKS_TEST(Collectives, AddInATree, 4, 5) {
  const auto ranks = join();
  const int rank = ranks->ranks().rank;
  for (const std::int64_t repeats : {1, 20'000}) {
    std::array<float, 5> parts = {-1e8F, 1, 1.5F, 1e8F, 3};
    std::vector<float> mine, right;
    for (bool more = true; more; more = std::next_permutation(parts.begin(), parts.end() - 1)) {
      mine.push_back(parts[static_cast<std::size_t>(rank)]);
      const float four = (parts[0] + parts[1]) + (parts[2] + parts[3]);
      right.push_back(ranks->ranks().size == 4 ? four : four + parts[4]);
    }
    const Tensor x = Tensor::empty({repeats, 24});
    for (std::int64_t row = 0; row < repeats; ++row)
      std::copy(mine.begin(), mine.end(), x.data<float>() + row * 24);
    ranks->all_reduce("values", x);
    for (std::int64_t row = 0; row < repeats; ++row)
      ASSERT_TRUE(std::equal(right.begin(), right.end(), x.data<float>() + row * 24)) << row;
  }
}

RANKS_TEST(Collectives, OfAPart, 5) {
  const auto ranks = join();
  const int rank = ranks->ranks().rank;
  const auto part = ranks->split(rank % 2);
  EXPECT_EQ(part->ranks().size, rank % 2 == 0 ? 3 : 2);
  EXPECT_EQ(part->ranks().rank, rank / 2);
  EXPECT_EQ(part->ranks().local_size, part->ranks().size);
  const Tensor x = Tensor::from(std::vector<std::int64_t>{std::int64_t{1} << rank}, {1});
  part->all_reduce("bits", x);
  EXPECT_EQ(x.data<std::int64_t>()[0], rank % 2 == 0 ? 0b10101 : 0b01010);
}

RANKS_TEST(Collectives, RefuseWhatTheyCannotDo, 2) {
  const auto ranks = join();
  const auto refused = [&](const std::function<void()>& call, const char* why) {
    EXPECT_NE(error_of(call).find(why), std::string::npos) << why;
  };
  const Tensor three = Tensor::zeros({3});
  refused([&] { ranks->broadcast("x", three, 2); }, "[x] no rank 2 among 2");
  EXPECT_EQ(ranks->ranks().local_size, 2);
}

RANKS_TEST(Collectives, NameTheMinorityThatHasOtherValues, 2, 5) {
  const auto ranks = join();
  const int size = ranks->ranks().size;
  check_alike(*ranks, "weights", 77);
  const std::string others = error_of(
      [&] { check_alike(*ranks, "weights", ranks->ranks().rank % 3 == 0 ? 7 : 1U << 31); });
  EXPECT_EQ(others.substr(0, others.find(':')),
            size == 2 ? "rank 1 has other weights than rank 0"
                      : "ranks 0, 3 have other weights than the rest");
}

/// Rank 1 does not come to the sum.
TEST(Collectives, EndAtADeadlineThatSaysWhoWaitsForWhat) {
  if (is_rank()) {
    const Ranks who = start_mpi();
    const auto ranks = join_mpi(deadline_watch(who, Seconds(0.5)));
    if (who.rank == 1) std::this_thread::sleep_for(std::chrono::minutes(1));
    const Tensor x = Tensor::zeros({100});
    std::cerr << error_of([&] { ranks->all_reduce("gradients", x); }) << '\n';
    std::cerr << error_of([&] { ranks->all_reduce("updates", x); }) << '\n';
    std::exit(1);
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = run_ranks(2, this_test(), Seconds(20));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_NE(outcome.code, 0);
  const std::string& said = outcome.output[0];
  EXPECT_NE(said.find("rank 0 of 2 ("), std::string::npos) << said;
  EXPECT_NE(said.find("waited 0.5 s for the others in all_reduce gradients"), std::string::npos)
      << said;
  EXPECT_NE(said.find("[updates] an earlier exchange between ranks has failed"), std::string::npos)
      << said;
}

}  // namespace
}  // namespace invp::testing
