// Sixteen output bytes at once: one byte permutation fetches four taps for each from a window of 64
// input bytes, and dot products of bytes weigh them. A 22-bit weight is split into three signed
// bytes, so the sums are exact integers, the same as plain_row's.
#include "data/images/resize_rows.h"

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__) && defined(__AVX512BW__)

// GCC 12 warns of the intrinsics' own "undefined" vectors (its bug 105593).
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <algorithm>

namespace invp {
namespace {

constexpr int kOutputs = 16;    // bytes per block
constexpr int kWindow = 64;     // input bytes that a permutation can select from
constexpr int kTapsAGroup = 4;  // bytes per 32-bit dot product
constexpr int kMaxGroups = 4;

int blocks_of(int out_width) {
  return (3 * out_width + kOutputs - 1) / kOutputs;
}
int groups_of(const ResizeScratch::Axis& axis) {
  return (axis.taps + kTapsAGroup - 1) / kTapsAGroup;
}

/// First input byte of a block's window for a group of taps.
int window_start(const ResizeScratch::Axis& axis, int block, int group) {
  const auto x = static_cast<std::size_t>(block * kOutputs / 3);
  return 3 * (axis.first[x] + group * kTapsAGroup);
}

}  // namespace

bool has_fast_rows() {
  return true;
}

bool prepare_fast_rows(int in_width, int out_width, ResizeScratch& scratch) {
  const ResizeScratch::Axis& axis = scratch.horizontal;
  const int blocks = blocks_of(out_width), groups = groups_of(axis);
  if (groups > kMaxGroups) return false;
  const std::size_t entries = static_cast<std::size_t>(blocks * groups) * kWindow;
  scratch.permutation.assign(entries, 0);
  scratch.digits.assign(3 * entries, 0);
  std::uint8_t* index = scratch.permutation.data();
  std::int8_t* digit = scratch.digits.data();
  for (int block = 0; block < blocks; ++block) {
    for (int group = 0; group < groups; ++group, index += kWindow, digit += 3 * kWindow) {
      const int start = window_start(axis, block, group);
      for (int lane = 0; lane < kOutputs; ++lane) {
        const int byte = block * kOutputs + lane;
        const int x = byte / 3, channel = byte % 3;
        if (x >= out_width) break;
        for (int i = 0; i < kTapsAGroup; ++i) {
          const int k = group * kTapsAGroup + i;
          const int pixel = axis.first[static_cast<std::size_t>(x)] + k;
          if (k >= axis.taps || pixel >= in_width) continue;  // weight 0
          const int offset = 3 * pixel + channel - start;
          if (offset >= kWindow) return false;
          const std::int32_t weight = axis.weights[static_cast<std::size_t>(x * axis.taps + k)];
          // Balanced base-256 digits: weight = d0 + 256 d1 + 65536 d2, d2 <= 64.
          const auto d0 = static_cast<std::int8_t>(weight & 255);
          const std::int32_t rest = (weight - d0) >> 8;
          const auto d1 = static_cast<std::int8_t>(rest & 255);
          const int at = lane * kTapsAGroup + i;
          index[at] = static_cast<std::uint8_t>(offset);
          digit[at] = d0;
          digit[kWindow + at] = d1;
          digit[2 * kWindow + at] = static_cast<std::int8_t>((rest - d1) >> 8);
        }
      }
    }
  }
  return true;
}

void fast_row(const std::uint8_t* in, int in_width, int out_width, const ResizeScratch& scratch,
              std::uint8_t* out) {
  const ResizeScratch::Axis& axis = scratch.horizontal;
  const int blocks = blocks_of(out_width), groups = groups_of(axis), in_bytes = 3 * in_width;
  const std::uint8_t* index = scratch.permutation.data();
  const std::int8_t* digit = scratch.digits.data();
  for (int block = 0; block < blocks; ++block, out += kOutputs) {
    __m512i low = _mm512_set1_epi32(1 << 21), middle = _mm512_setzero_si512(), high = middle;
    for (int group = 0; group < groups; ++group, index += kWindow, digit += 3 * kWindow) {
      const int start = window_start(axis, block, group);
      const int left = in_bytes - start;
      // Bytes after the row are not read.
      const __mmask64 inside = left >= kWindow ? ~__mmask64{0}
                               : left > 0      ? ~__mmask64{0} >> (kWindow - left)
                                               : __mmask64{0};
      const __m512i window = _mm512_maskz_loadu_epi8(inside, in + std::min(start, in_bytes));
      const __m512i taps = _mm512_permutexvar_epi8(_mm512_loadu_si512(index), window);
      low = _mm512_dpbusd_epi32(low, taps, _mm512_loadu_si512(digit));
      middle = _mm512_dpbusd_epi32(middle, taps, _mm512_loadu_si512(digit + kWindow));
      high = _mm512_dpbusd_epi32(high, taps, _mm512_loadu_si512(digit + 2 * kWindow));
    }
    const __m512i sum = _mm512_add_epi32(
        low, _mm512_add_epi32(_mm512_slli_epi32(middle, 8), _mm512_slli_epi32(high, 16)));
    const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_srli_epi32(sum, 22));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
  }
}

}  // namespace invp

#else

namespace invp {

bool has_fast_rows() {
  return false;
}
bool prepare_fast_rows(int, int, ResizeScratch&) {
  return false;
}
void fast_row(const std::uint8_t*, int, int, const ResizeScratch&, std::uint8_t*) {}

}  // namespace invp

#endif
