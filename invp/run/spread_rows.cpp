#include "invp/run/spread_rows.h"

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "engine/comm/gather.h"

namespace invp {

namespace {

constexpr std::int64_t kDismissed = -1;

std::byte* bytes_of(const Tensor& host) {
  return static_cast<std::byte*>(host.raw());
}

}  // namespace

SpreadRows::SpreadRows(std::string name, Tensor own, std::int64_t rows,
                       std::shared_ptr<Communicator> holders, bool with_first,
                       std::int64_t piece_bytes)
    : name_(std::move(name)),
      own_(std::move(own)),
      rows_(rows),
      holders_(std::move(holders)),
      with_first_(with_first),
      piece_bytes_(piece_bytes) {}

std::size_t SpreadRows::row_bytes() const {
  std::size_t bytes = size_of(own_.dtype());
  for (int i = 1; i < own_.rank(); ++i) bytes *= static_cast<std::size_t>(own_.dim(i));
  return bytes;
}

std::int64_t SpreadRows::rows_of_piece() const {
  const std::int64_t size = holders_->ranks().size;
  const std::int64_t rows = piece_bytes_ / static_cast<std::int64_t>(std::max(row_bytes(), 1UL));
  return std::max<std::int64_t>(rows / size, 1) * size;
}

/// All holders learn what rank 0 asks for.
std::int64_t SpreadRows::ask(std::int64_t first) const {
  const Tensor asked = Tensor::from(std::vector{first}, {1}, own_.device());
  holders_->broadcast("which rows", asked, 0);
  return asked.to(kCpu).span<std::int64_t>().front();
}

/// The rows from `first` on, a multiple of the number of holders, on the host; on the device of
/// the communicator while they travel.
Tensor SpreadRows::piece(std::int64_t first) const {
  const std::int64_t size = holders_->ranks().size;
  const std::int64_t count = std::min(rows_of_piece(), rows_ - first);
  const std::int64_t each = (count + size - 1) / size;
  const std::int64_t begin = std::min(first / size, own_.dim(0));
  const std::int64_t end = std::min(begin + each, own_.dim(0));
  const Tensor sent = Tensor::zeros(with_rows(own_.shape(), each), own_.dtype(), own_.device());
  if (end > begin) sent.slice(0, end - begin).copy_from(own_.slice(begin, end));
  const Tensor got =
      Tensor::empty(with_rows(own_.shape(), each * size), own_.dtype(), own_.device());
  holders_->all_gather(name_.c_str(), sent, got);
  const Tensor by_rank = got.to(kCpu);
  const Tensor in_order = Tensor::empty(with_rows(own_.shape(), count), own_.dtype());
  const std::size_t bytes = row_bytes();
  for (std::int64_t i = 0; i < count; ++i)
    std::memcpy(bytes_of(in_order) + static_cast<std::size_t>(i) * bytes,
                bytes_of(by_rank) + static_cast<std::size_t>(i % size * each + i / size) * bytes,
                bytes);
  return in_order;
}

void SpreadRows::give(const std::function<void(std::span<const std::byte>)>& append) const {
  for (std::int64_t first = 0; first < rows_; first += rows_of_piece()) {
    ask(first);
    const Tensor rows = piece(first);
    append({bytes_of(rows), rows.nbytes()});
  }
}

void SpreadRows::dismiss() const {
  ask(kDismissed);
}

void SpreadRows::serve() const {
  if (!with_first_) return;
  while (true) {
    const std::int64_t first = ask(kDismissed);
    if (first == kDismissed) return;
    piece(first);
  }
}

void SpreadRows::keep(const Tensor& piece, std::int64_t first, const Tensor& to) const {
  const auto [rank, size, local_rank, local_size] = holders_->ranks();
  const std::size_t bytes = row_bytes();
  const std::int64_t ahead = (rank - first % size + size) % size;
  for (std::int64_t i = ahead; i < piece.dim(0); i += size)
    std::memcpy(bytes_of(to) + static_cast<std::size_t>((first + i) / size) * bytes,
                bytes_of(piece) + static_cast<std::size_t>(i) * bytes, bytes);
}

Tensor SpreadRows::own_of(const Tensor& whole) const {
  if (holders_->alone()) return whole;
  const Tensor own = Tensor::empty(own_.shape(), own_.dtype());
  keep(whole, 0, own);
  return own;
}

}  // namespace invp
