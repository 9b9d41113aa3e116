// curves.svg: the loss, the measures, the learning rate and the speed of a run over its epochs.
#pragma once

#include <string>
#include <vector>

#include "invp/run/observer.h"

namespace invp {

/// SVG of the run's curves: the loss, those of the `shown` measures that any epoch has, the
/// learning rate and the speed, over epochs or, of a run that is told in them, over steps.
std::string curves_svg(const std::string& title, const std::vector<EpochReport>& epochs,
                       const std::vector<ShownMeasure>& shown, bool in_steps = false);

}  // namespace invp
