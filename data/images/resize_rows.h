// The horizontal pass of a resize with AVX-512. It is the slower of the two passes, because the
// inputs of neighboring outputs do not lie next to each other.
#pragma once

#include <cstdint>

#include "data/images/planes.h"

namespace invp {

/// True if this build has the instructions it needs (VBMI and VNNI).
bool has_fast_rows();

/// Prepares scratch.horizontal for fast_row. False if the image shrinks too much for it.
bool prepare_fast_rows(int in_width, int out_width, ResizeScratch& scratch);

/// One row: `in` of in_width pixels, `out` of out_width pixels and up to kPadding bytes beyond.
void fast_row(const std::uint8_t* in, int in_width, int out_width, const ResizeScratch& scratch,
              std::uint8_t* out);

}  // namespace invp
