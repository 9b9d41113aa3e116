// How well each block's features classify: the table and the figure of layer-wise linear
// classification (supplement, Figure 1).
#pragma once

#include <string>
#include <vector>

#include "invp/protocols/linear/linear.h"

namespace invp {

/// One line a tap: tap,block,dims, then top1,top5 or map,map_envelope,map_11point, per cent.
std::string layers_csv(const LinearResult& result);

/// Accuracy against block as SVG, the best one marked.
std::string layers_svg(const std::string& title, const LinearResult& result);

/// Of a multi-label set: class,tap,step,envelope,11point, per cent, a line for each class and tap.
std::string classes_csv(const LinearResult& result, const std::vector<std::string>& classes);

}  // namespace invp
