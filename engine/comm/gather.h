// What ranks have of different lengths, put together on all of them. Collective calls, as those of
// communicator.h.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"

namespace invp {

/// The shape with another first dimension.
Shape with_rows(const Shape& shape, std::int64_t rows);

/// One number of each rank.
std::vector<std::int64_t> gather_numbers(Communicator& ranks, const char* name, std::int64_t mine);

/// The rows of all ranks, one rank's after another's. `counts`: how many each rank has, the same
/// numbers on all. `mine`: (counts[rank], ...), all of one dtype.
Tensor gather_rows(Communicator& ranks, const char* name, const Tensor& mine,
                   std::span<const std::int64_t> counts);

/// Any bytes of each rank.
std::vector<std::string> gather_text(Communicator& ranks, const char* name,
                                     const std::string& mine);
/// Those of rank 0.
std::string broadcast_text(Communicator& ranks, const char* name, const std::string& mine);

/// Throws Error on all ranks unless all give the same hash of `what`: "ranks 1, 3 have other
/// weights than the rest". Where there is no majority, rank 0's is taken to be right.
void check_alike(Communicator& ranks, const char* what, std::uint64_t hash);

/// Several texts as one, and back.
std::string packed(const std::vector<std::string>& texts);
std::vector<std::string> unpacked(const std::string& text);

}  // namespace invp
