// What a linear classifier at a tap of the network looks at: the tap's map, averaged down to a grid
// of cells (adaptive average pooling).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "layers/resnet.h"

namespace invp {

enum class TapPooling {
  kGlobal,     ///< one cell: as many values as channels
  kAbout9000,  ///< the grid whose values come closest to 9000: 12, 6, 4, 3, 2 cells a side at the
               ///< stem and the stages of ResNet-50 (supplement)
  kReleased,   ///< the same, but one cell in the last stage (the released code as committed)
  kStages,     ///< 8 cells a side at the stem, then 6, 4, 3, 7: the released code's second script
};

/// "global", "9000", "released", "stages", for the command line.
const std::vector<std::pair<std::string, TapPooling>>& all_tap_poolings();

struct TapLayer {
  int tap = 0;        ///< from 1, the stem
  std::string block;  ///< "stem", "layer3.5"
  std::int64_t channels = 0;
  std::int64_t map = 0;   ///< pixels a side, before pooling
  std::int64_t grid = 1;  ///< cells a side

  std::int64_t dims() const { return channels * grid * grid; }
};

/// The taps asked for, in rising order; all if `taps` is empty. No grid is finer than its map. Runs
/// the network on one blank image. Throws Error for taps it does not have.
std::vector<TapLayer> tap_layers(ResNet& network, int image_size, const std::vector<int>& taps,
                                 TapPooling pooling);

/// A tap's output (N, H, W, C) -> (N, dims) f32, cell by cell, row by row, a cell's channels
/// together.
Tensor pool_tap(const Tensor& output, std::int64_t grid);

/// Calls visit(k, pooled output of layers[k]) as the network, in evaluation mode and without
/// recording, computes them.
void pooled_taps(ResNet& network, const Tensor& images, const std::vector<TapLayer>& layers,
                 const std::function<void(std::size_t k, const Tensor& features)>& visit);

}  // namespace invp
