// What the collective calls of a communicator bring, against naive loops over what all ranks have.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <vector>

#include "engine/comm/communicator.h"

namespace invp::testing {

/// Up to so many values everything is tried; the naive loops are slow.
inline constexpr std::int64_t kFew = 1000;

/// Value i of a rank: sums of these depend on the order.
inline double value_of(int rank, std::int64_t i) {
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

/// What two values are added in, before their sum is rounded.
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
      if (reduction == Reduction::kSum) return static_cast<Exact<T>>(T(a + b));
      return reduction == Reduction::kMax ? std::max(a, b) : std::min(a, b);
    }));
    wrong += bits(right) == bits(got.data<T>()[i]) ? 0 : 1;
  }
  return wrong;
}

template <class T>
void check_sums(Communicator& ranks, std::int64_t count, Device device) {
  for (const Reduction reduction : {Reduction::kSum, Reduction::kMax, Reduction::kMin}) {
    if (reduction != Reduction::kSum && count > kFew) break;
    const Tensor x = values<T>(ranks.ranks().rank, count).to(device);
    ranks.all_reduce("values", x, reduction);
    EXPECT_EQ(count_wrong<T>(x.to(kCpu), reduction, ranks.ranks().size), 0)
        << count << " of " << x.dtype() << ", reduction " << static_cast<int>(reduction);
  }
}

template <class T>
void check_gather(Communicator& ranks, std::int64_t count, Device device) {
  const int size = ranks.ranks().size;
  const Tensor gathered = Tensor::zeros({size, count}, DTypeOf<T>::value, device);
  ranks.all_gather("values", values<T>(ranks.ranks().rank, count).to(device), gathered);
  const Tensor all = gathered.to(kCpu);
  for (int rank = 0; rank < size; ++rank) {
    const Tensor right = values<T>(rank, count);
    EXPECT_TRUE(count == 0 ||
                std::memcmp(right.raw(), all.slice(rank, rank + 1).raw(), right.nbytes()) == 0)
        << count << " of " << all.dtype() << " from rank " << rank;
  }
}

inline void check_exchange(Communicator& ranks, std::int64_t count, Device device) {
  const auto [mine, size, local_rank, local_size] = ranks.ranks();
  const auto sent = [&](int from, int to, std::int64_t i) {
    return static_cast<std::int32_t>((from * 100 + to) * 1000003 + i);
  };
  const Tensor in = Tensor::empty({size, count}, DType::kI32);
  const Tensor got = Tensor::zeros({size, count}, DType::kI32, device);
  for (int to = 0; to < size; ++to)
    for (std::int64_t i = 0; i < count; ++i)
      in.data<std::int32_t>()[to * count + i] = sent(mine, to, i);
  ranks.all_to_all("values", got, in.to(device));
  const Tensor out = got.to(kCpu);
  std::int64_t wrong = 0;
  for (int from = 0; from < size; ++from)
    for (std::int64_t i = 0; i < count; ++i)
      wrong += out.data<std::int32_t>()[from * count + i] != sent(from, mine, i);
  EXPECT_EQ(wrong, 0) << count;
}

inline void check_broadcast(Communicator& ranks, std::int64_t count, Device device) {
  const int last = ranks.ranks().size - 1;
  const Tensor sent = values<float>(ranks.ranks().rank, count).to(device);
  ranks.broadcast("values", sent, last);
  const Tensor x = sent.to(kCpu);
  const Tensor right = values<float>(last, count);
  EXPECT_TRUE(count == 0 || std::memcmp(right.raw(), x.raw(), x.nbytes()) == 0) << count;
}

/// All calls and types, for so many values on this device.
inline void check_all(Communicator& ranks, std::int64_t count, Device device = kCpu) {
  check_sums<float>(ranks, count, device);
  check_sums<double>(ranks, count, device);
  check_sums<BFloat16>(ranks, count, device);
  check_sums<std::int64_t>(ranks, count, device);
  check_gather<float>(ranks, count, device);
  check_gather<std::uint8_t>(ranks, count, device);
  check_exchange(ranks, count, device);
  check_broadcast(ranks, count, device);
}

/// A sum of which other orders have other bits, at 24 places and `repeats` times: 1e8 + 1 is 1e8 in
/// f32. Of 4 or 5 ranks.
inline void check_tree(Communicator& ranks, std::int64_t repeats, Device device = kCpu) {
  const int rank = ranks.ranks().rank;
  std::array<float, 5> parts = {-1e8F, 1, 1.5F, 1e8F, 3};
  std::vector<float> mine, right;
  for (bool more = true; more; more = std::next_permutation(parts.begin(), parts.end() - 1)) {
    mine.push_back(parts[static_cast<std::size_t>(rank)]);
    const float four = (parts[0] + parts[1]) + (parts[2] + parts[3]);
    right.push_back(ranks.ranks().size == 4 ? four : four + parts[4]);
  }
  const Tensor host = Tensor::empty({repeats, 24});
  for (std::int64_t row = 0; row < repeats; ++row)
    std::copy(mine.begin(), mine.end(), host.data<float>() + row * 24);
  const Tensor x = host.to(device);
  ranks.all_reduce("values", x);
  const Tensor got = x.to(kCpu);
  for (std::int64_t row = 0; row < repeats; ++row)
    ASSERT_TRUE(std::equal(right.begin(), right.end(), got.data<float>() + row * 24)) << row;
}

}  // namespace invp::testing
