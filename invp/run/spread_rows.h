// A tensor of a task's state whose rows are spread over ranks: row i is row i / S of rank i mod S
// of those that hold it. A checkpoint has it whole: rank 0 asks for it piece by piece while it
// writes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/comm/communicator.h"
#include "engine/core/tensor.h"

namespace invp {

class SpreadRows {
 public:
  /// `own`: this rank's rows, which stay where they are. `with_first`: rank 0 of the run is among
  /// the holders, as their rank 0, and gets the rows from these. They travel `piece_bytes` at a
  /// time.
  SpreadRows(std::string name, Tensor own, std::int64_t rows, std::shared_ptr<Communicator> holders,
             bool with_first, std::int64_t piece_bytes = 64 << 20);

  const std::string& name() const { return name_; }
  std::int64_t rows() const { return rows_; }
  const Tensor& own() const { return own_; }

  /// For rank 0: calls append() with the elements of all rows, in their order, piece after
  /// piece. Meanwhile the other ranks are in serve().
  void give(const std::function<void(std::span<const std::byte>)>& append) const;
  /// For rank 0: ends their serve().
  void dismiss() const;
  /// For the other ranks: gives rank 0 what it asks for, until it dismisses them.
  void serve() const;

  /// What this rank keeps of the rows [first, first + piece.dim(0)) goes to its place in `to`,
  /// which is shaped as own().
  void keep(const Tensor& piece, std::int64_t first, const Tensor& to) const;
  /// The rows of this rank, of all of them on the host.
  Tensor own_of(const Tensor& whole) const;
  /// Of a piece, a multiple of the number of holders.
  std::int64_t rows_of_piece() const;

 private:
  std::int64_t ask(std::int64_t first) const;
  Tensor piece(std::int64_t first) const;
  std::size_t row_bytes() const;

  std::string name_;
  Tensor own_;
  std::int64_t rows_;
  std::shared_ptr<Communicator> holders_;
  bool with_first_;
  std::int64_t piece_bytes_;
};

}  // namespace invp
