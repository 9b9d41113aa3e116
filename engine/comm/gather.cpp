#include "engine/comm/gather.h"

#include <algorithm>
#include <vector>

#include "engine/comm/last_calls.h"
#include "engine/core/error.h"

namespace invp {

Shape with_rows(const Shape& shape, std::int64_t rows) {
  std::vector<std::int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.front() = rows;
  return Shape(dims);
}

namespace {

Tensor bytes_of(const std::string& text) {
  const Tensor bytes = Tensor::empty({std::ssize(text)}, DType::kU8);
  std::ranges::copy(text, bytes.span<std::uint8_t>().begin());
  return bytes;
}

std::string text_of(const Tensor& bytes) {
  const auto span = bytes.span<std::uint8_t>();
  return {span.begin(), span.end()};
}

}  // namespace

std::vector<std::int64_t> gather_numbers(Communicator& ranks, const char* name, std::int64_t mine) {
  const Tensor all = Tensor::empty({ranks.ranks().size, 1}, DType::kI64);
  ranks.all_gather(name, Tensor::from(std::vector{mine}, {1}), all);
  const auto numbers = all.span<std::int64_t>();
  return {numbers.begin(), numbers.end()};
}

// Every rank sends as many rows as the largest share has.
Tensor gather_rows(Communicator& ranks, const char* name, const Tensor& mine,
                   std::span<const std::int64_t> counts) {
  const auto [rank, size, local_rank, local_size] = ranks.ranks();
  CHECK(std::ssize(counts) == size && mine.dim(0) == counts[static_cast<std::size_t>(rank)], "[",
        name, "] ", mine.shape(), " of rank ", rank, " does not fit the counts");
  if (size == 1) return mine;
  const std::int64_t largest = std::ranges::max(counts);
  std::int64_t total = 0;
  for (const std::int64_t count : counts) total += count;
  const Tensor sent = Tensor::zeros(with_rows(mine.shape(), largest), mine.dtype(), mine.device());
  if (mine.dim(0) > 0) sent.slice(0, mine.dim(0)).copy_from(mine);
  const Tensor got =
      Tensor::empty(with_rows(mine.shape(), size * largest), mine.dtype(), mine.device());
  std::vector<std::int64_t> by_rank{size};
  by_rank.insert(by_rank.end(), sent.shape().dims().begin(), sent.shape().dims().end());
  ranks.all_gather(name, sent, got.view(Shape(by_rank)));
  if (total == got.dim(0)) return got;
  const Tensor all = Tensor::empty(with_rows(mine.shape(), total), mine.dtype(), mine.device());
  std::int64_t next = 0;
  for (std::int64_t from = 0; from < size; ++from) {
    const std::int64_t count = counts[static_cast<std::size_t>(from)];
    if (count > 0)
      all.slice(next, next + count).copy_from(got.slice(from * largest, from * largest + count));
    next += count;
  }
  return all;
}

std::vector<std::string> gather_text(Communicator& ranks, const char* name,
                                     const std::string& mine) {
  const std::vector<std::int64_t> counts = gather_numbers(ranks, name, std::ssize(mine));
  const std::string all = text_of(gather_rows(ranks, name, bytes_of(mine), counts));
  std::vector<std::string> texts;
  std::size_t next = 0;
  for (const std::int64_t count : counts) {
    texts.push_back(all.substr(next, static_cast<std::size_t>(count)));
    next += static_cast<std::size_t>(count);
  }
  return texts;
}

std::string broadcast_text(Communicator& ranks, const char* name, const std::string& mine) {
  const Tensor count = Tensor::from(std::vector<std::int64_t>{std::ssize(mine)}, {1});
  ranks.broadcast(name, count, 0);
  if (ranks.ranks().rank == 0) {
    ranks.broadcast(name, bytes_of(mine), 0);
    return mine;
  }
  const Tensor bytes = Tensor::empty({*count.data<std::int64_t>()}, DType::kU8);
  ranks.broadcast(name, bytes, 0);
  return text_of(bytes);
}

// Each text after its length and a colon.
void check_alike(Communicator& ranks, const char* what, std::uint64_t hash) {
  const std::vector<std::int64_t> all =
      gather_numbers(ranks, what, static_cast<std::int64_t>(hash));
  const auto having = [&](std::int64_t value) { return 2 * std::ranges::count(all, value); };
  std::int64_t right = all[0];
  for (const std::int64_t value : all)
    if (having(value) > std::ssize(all)) right = value;
  std::vector<int> others;
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    if (all[rank] != right) others.push_back(static_cast<int>(rank));
  CHECK(others.empty(), ranks_in_words(others), others.size() == 1 ? " has" : " have", " other ",
        what, " than ", having(right) > std::ssize(all) ? "the rest" : "rank 0",
        ": a fault of memory or of this program; resume from the last checkpoint");
}

std::string packed(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += message(text.size(), ':', text);
  return all;
}

std::vector<std::string> unpacked(const std::string& text) {
  std::vector<std::string> texts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t colon = text.find(':', at);
    const std::size_t size = std::stoull(text.substr(at, colon - at));
    texts.push_back(text.substr(colon + 1, size));
    at = colon + 1 + size;
  }
  return texts;
}

}  // namespace invp
