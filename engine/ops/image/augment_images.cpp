#include "engine/ops/image/augment_images.h"

#include <cmath>
#include <vector>

#include "engine/ops/image/augment_picture.h"

namespace invp {
namespace {

constexpr int kLargest = 4096;  // a picture's bytes are counted in 32 bits

void check_crop(const AugmentRecord& r, std::int64_t bytes) {
  const bool sound = r.width > 0 && r.height > 0 && r.begin >= 0 && r.begin <= bytes &&
                     r.row_bytes >= 3 * std::int64_t{r.width} && r.row_bytes <= bytes &&
                     r.height <= (bytes - r.begin - 3 * std::int64_t{r.width}) / r.row_bytes + 1 &&
                     r.begin + 3 * std::int64_t{r.width} <= bytes;
  CHECK(sound, "[augment_images] a crop of ", r.width, " x ", r.height, " pixels at byte ", r.begin,
        " in rows of ", r.row_bytes, " bytes does not lie within the ", bytes, " bytes of pixels");
}

void check_window(const AugmentRecord& r, int size) {
  CHECK(r.resized_width > 0 && r.resized_height > 0 && r.left >= 0 && r.top >= 0 &&
            size <= r.resized_width - r.left && size <= r.resized_height - r.top,
        "[augment_images] the window of ", size, " x ", size, " at (", r.left, ", ", r.top,
        ") does not lie inside the resized ", r.resized_width, " x ", r.resized_height);
}

AugmentTask::Color color_of(const ColorStep& step) {
  AugmentTask::Color color{step.op, static_cast<float>(step.factor), 0};
  switch (step.op) {
    case ColorOp::kBrightness:
    case ColorOp::kContrast:
    case ColorOp::kSaturation:
      CHECK(std::isfinite(step.factor) && step.factor >= 0,
            "[augment_images] the factor is not negative, got ", step.factor);
      return color;
    case ColorOp::kHue:
      CHECK(step.factor >= -0.5 && step.factor <= 0.5,
            "[augment_images] the factor of hue lies in [-0.5, 0.5], got ", step.factor);
      color.shift = pixel::hue_shift(step.factor);
      return color;
    case ColorOp::kGrayscale: return color;
  }
  fail("[augment_images] unknown color operation ", static_cast<int>(step.op));
}

AugmentTask task_of(const AugmentRecord& r, std::int64_t bytes, int size) {
  check_crop(r, bytes);
  check_window(r, size);
  CHECK(r.color_steps >= 0 && r.color_steps <= std::ssize(r.color), "[augment_images] at most ",
        r.color.size(), " color steps, got ", r.color_steps);
  CHECK(std::isfinite(r.blur_sigma) && r.blur_sigma >= 0 && r.blur_sigma <= 1000,
        "[augment_images] sigma lies in [0, 1000], got ", r.blur_sigma);
  AugmentTask task{.begin = r.begin,
                   .row_bytes = r.row_bytes,
                   .width = r.width,
                   .height = r.height,
                   .resized_width = r.resized_width,
                   .resized_height = r.resized_height,
                   .left = r.left,
                   .top = r.top,
                   .first_row = r.top,
                   .rows = size,
                   .color_steps = r.color_steps,
                   .flip = r.flip ? 1 : 0};
  const pixel::ResizeAxis across(r.width, r.resized_width), down(r.height, r.resized_height);
  if (r.width != r.resized_width) task.taps_x = across.most_taps();
  if (r.height != r.resized_height) {
    task.taps_y = down.most_taps();
    task.first_row = down.first_tap(r.top);
    task.rows = down.end_tap(r.top + size - 1) - task.first_row;
  }
  for (int i = 0; i < r.color_steps; ++i)
    task.color[i] = color_of(r.color[static_cast<std::size_t>(i)]);
  if (r.blur_sigma > 0) task.blur = pixel::box_blur(static_cast<float>(r.blur_sigma));
  return task;
}

}  // namespace

Tensor augment_images(const Tensor& pixels, std::span<const AugmentRecord> records,
                      const AugmentOutput& output) {
  CHECK(pixels.dtype() == DType::kU8, "[augment_images] pixels are u8, got ", pixels.dtype());
  CHECK(output.size >= 1 && output.size <= kLargest, "[augment_images] pictures of 1 to ", kLargest,
        " pixels a side, got ", output.size);
  CHECK(output.channels == 3 || output.channels == 8, "[augment_images] 3 or 8 channels, got ",
        output.channels);
  for (const float std : output.std)
    CHECK(std > 0, "[augment_images] standard deviations are positive, got ", std);
  std::vector<AugmentTask> tasks;
  tasks.reserve(records.size());
  for (const AugmentRecord& record : records)
    tasks.push_back(task_of(record, pixels.numel(), output.size));
  const Tensor y = Tensor::empty({std::ssize(records), output.size, output.size, output.channels},
                                 output.dtype, pixels.device());
  DISPATCH(pixels.device(), augment_images, pixels, tasks, output, y);
  return y;
}

}  // namespace invp
