#include "invp/run/share_checkpoint.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/comm/gather.h"

namespace invp {

namespace {

std::string header_of(const Checkpoint& checkpoint) {
  const TensorFile& file = checkpoint.file;
  std::vector<std::string> texts = {checkpoint.path.string(), file.has_checksums ? "1" : "0",
                                    std::to_string(file.metadata.size())};
  for (const auto& [key, value] : file.metadata) texts.insert(texts.end(), {key, value});
  for (const auto& [name, tensor] : file.tensors) {
    std::vector<std::string> dims;
    for (const std::int64_t dim : tensor.shape().dims()) dims.push_back(std::to_string(dim));
    texts.insert(texts.end(),
                 {name, std::to_string(static_cast<int>(tensor.dtype())), packed(dims)});
  }
  return packed(texts);
}

/// Its tensors are yet to be filled.
Checkpoint of_header(const std::string& header, const SpreadRows* spread) {
  const std::vector<std::string> texts = unpacked(header);
  std::size_t at = 0;
  Checkpoint checkpoint{.path = texts[at++], .file = {}};
  checkpoint.file.has_checksums = texts[at++] == "1";
  for (std::size_t left = std::stoull(texts[at++]); left > 0; --left, at += 2)
    checkpoint.file.metadata[texts[at]] = texts[at + 1];
  for (; at < texts.size(); at += 3) {
    std::vector<std::int64_t> dims;
    for (const std::string& dim : unpacked(texts[at + 2])) dims.push_back(std::stoll(dim));
    if (spread != nullptr && texts[at] == spread->name()) dims.front() = spread->own().dim(0);
    checkpoint.file.tensors.emplace_back(
        texts[at], Tensor::empty(Shape(dims), static_cast<DType>(std::stoi(texts[at + 1]))));
  }
  return checkpoint;
}

/// From rank 0, where `tensor` is whole, to the others, where it is for their own rows.
void share_rows(Communicator& ranks, const Tensor& tensor, const SpreadRows& spread) {
  const bool first_rank = ranks.ranks().rank == 0;
  std::vector<std::int64_t> dims(tensor.shape().dims().begin(), tensor.shape().dims().end());
  for (std::int64_t first = 0; first < spread.rows(); first += spread.rows_of_piece()) {
    const std::int64_t last = std::min(first + spread.rows_of_piece(), spread.rows());
    dims.front() = last - first;
    const Tensor piece =
        first_rank ? tensor.slice(first, last) : Tensor::empty(Shape(dims), tensor.dtype());
    ranks.broadcast("checkpoint", piece, 0);
    if (!first_rank) spread.keep(piece, first, tensor);
  }
}

}  // namespace

Checkpoint with_own_rows(const Checkpoint& checkpoint, const SpreadRows* spread) {
  Checkpoint own = checkpoint;
  for (auto& [name, tensor] : own.file.tensors) {
    const bool whole =
        spread != nullptr && name == spread->name() && tensor.rank() > 0 &&
        tensor.dim(0) == spread->rows() &&
        tensor.numel() / std::max<std::int64_t>(tensor.dim(0), 1) * spread->own().dim(0) ==
            spread->own().numel() &&
        tensor.dtype() == spread->own().dtype();
    if (whole) tensor = spread->own_of(tensor);
  }
  return own;
}

std::optional<Checkpoint> share_checkpoint(Communicator& ranks, std::optional<Checkpoint> of_first,
                                           const SpreadRows* spread) {
  if (ranks.alone()) return of_first;
  const std::string header =
      broadcast_text(ranks, "checkpoint", of_first ? header_of(*of_first) : std::string());
  if (header.empty()) return std::nullopt;
  Checkpoint checkpoint = of_first ? std::move(*of_first) : of_header(header, spread);
  for (const auto& [name, tensor] : checkpoint.file.tensors) {
    if (spread != nullptr && name == spread->name())
      share_rows(ranks, tensor, *spread);
    else
      ranks.broadcast("checkpoint", tensor, 0);
  }
  return checkpoint;
}

}  // namespace invp
