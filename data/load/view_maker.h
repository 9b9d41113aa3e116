// From the file of a picture to the pixels of a view, and from views to the tensor of a group.
#pragma once

#include <cstdint>
#include <span>

#include "data/detection/detection_set.h"
#include "data/images/decode.h"
#include "data/images/planes.h"
#include "data/load/boxed_pictures.h"
#include "data/load/short_edge.h"

namespace invp {

/// Detection reads pictures upright: annotations count from the corner that a viewer shows.
inline DecodeOptions upright(DecodeOptions options) {
  options.apply_orientation = true;
  return options;
}

/// A picture of a set, upright. Throws Error naming the file if it cannot be read, or has another
/// size than its annotations say; SystemError where the machine is at fault.
Image read_picture(const DetectionSet& set, std::int64_t picture, const DecodeOptions& options);

/// A view without its tensor: pixels not yet mirrored, normalized or padded.
struct ViewPixels {
  Planes planes;
  bool flipped = false;
};

/// (N, H, W, 3) f32 on the host, H and W the largest of the views: each normalized by
/// kDetectionNormalization and mirrored if it says so, 0 beyond it.
Tensor pad_together(std::span<const ViewPixels* const> views);

/// A picture as the detector is tested on it, with its own size to scale boxes back to.
struct TestPicture {
  BoxedGroup group;  ///< of one view, without boxes and labels; images on the device
  std::int64_t height = 0, width = 0;
};

/// At the short edge and the longest side of the test, not mirrored. For a picture of a set the
/// image is that of read_picture and `picture` its row; for any other file, that of load_image with
/// upright() options.
TestPicture test_picture(const Image& image, Device device, std::int64_t picture = 0,
                         int short_edge = kTestShortEdge, int longest = kLongestSide);

}  // namespace invp
