// The accuracy of a linear classifier on each block's features: table and figure (supplement,
// Figure 1).
#pragma once

#include <string>
#include <vector>

#include "invp/protocols/linear/linear.h"

namespace invp {

/// One line per tap: tap,block,dims, then top1,top5 or map,map_envelope,map_11point in per cent.
std::string layers_csv(const LinearResult& result);

/// SVG of the accuracy against the block, with the best block marked.
std::string layers_svg(const std::string& title, const LinearResult& result);

/// For a multi-label set, one line per class and tap: class,tap,step,envelope,11point in per cent.
std::string classes_csv(const LinearResult& result, const std::vector<std::string>& classes);

}  // namespace invp
