// The language of `invp data apply --step NAME:key=value,...`: single operations with given
// parameters.
//
//   crop:x=,y=,w=,h=   resize:w=,h=   resize-shorter:size=   center-crop:size=   brightness:f=
//   contrast:f=   saturation:f=   hue:f=   grayscale   blur:sigma=   hflip
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>

#include "data/images/image.h"

namespace invp {

struct StepRule;

/// A step with the values of its keys, in the order above.
struct Step {
  const StepRule* rule = nullptr;
  std::array<double, 4> values{};
};

/// Throws Error for an unknown step or key (and names the nearest one), a key that is missing or
/// given twice, a value that is no number, and a fraction of pixels.
Step parse_step(std::string_view text);

/// Throws Error if the step does not fit the image (a crop outside of it).
Image apply_step(Image image, const Step& step);
Image apply_steps(Image image, std::span<const Step> steps);

/// One line per step, for --help.
std::string step_help();

}  // namespace invp
