// The horizontal pass of a resize, the expensive one: its inputs lie scattered. Private to data/.
#pragma once

#include <cstdint>

#include "data/images/planes.h"

namespace invp {

/// True where resize_rows_avx512.cpp was built with the instructions it needs (VBMI and VNNI).
bool has_fast_rows();

/// Prepares scratch.horizontal for fast_row; false when the picture shrinks too much for it.
bool prepare_fast_rows(int in_width, int out_width, ResizeScratch& scratch);

/// One row: `in` of in_width pixels, `out` of out_width pixels and up to kPadding bytes beyond.
void fast_row(const std::uint8_t* in, int in_width, int out_width, const ResizeScratch& scratch,
              std::uint8_t* out);

}  // namespace invp
