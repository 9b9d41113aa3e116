#include "data/load/view_maker.h"

#include <algorithm>

#include "data/images/transform.h"
#include "engine/core/error.h"

namespace invp {

Image read_picture(const DetectionSet& set, std::int64_t picture, const DecodeOptions& options) {
  const BoxedPicture& said = set.pictures[static_cast<std::size_t>(picture)];
  const std::filesystem::path path = set.picture_path(picture);
  Image image = load_image(path, upright(options));
  CHECK(image.width == said.width && image.height == said.height, path.string(),
        ": the upright picture is ", image.width, " x ", image.height,
        ", but its annotations are of one of ", said.width, " x ", said.height,
        "; correct either, or leave it out");
  return image;
}

Tensor pad_together(std::span<const ViewPixels* const> views) {
  static const NormalizationTable kTable(kDetectionNormalization);
  int height = 0, width = 0;
  for (const ViewPixels* view : views) {
    height = std::max(height, view->planes.height);
    width = std::max(width, view->planes.width);
  }
  const MemoryScope scope(MemoryUse::kData);
  Tensor images = Tensor::empty({std::ssize(views), height, width, 3});
  const std::size_t row_floats = 3 * static_cast<std::size_t>(width);
  float* to = images.data<float>();
  for (const ViewPixels* view : views) {
    const Planes& planes = view->planes;
    to_tensor(planes, kTable, view->flipped, to, row_floats);
    const std::size_t own = 3 * static_cast<std::size_t>(planes.width);
    for (int y = 0; y < height; ++y, to += row_floats)
      std::fill(y < planes.height ? to + own : to, to + row_floats, 0.0f);
  }
  return images;
}

TestPicture test_picture(const Image& image, Device device, std::int64_t picture, int short_edge,
                         int longest) {
  const ViewSize size = view_size(image.height, image.width, short_edge, longest);
  ViewPixels pixels;
  ResizeScratch scratch;
  resize_window(image, size.width, size.height, {0, 0, size.width, size.height}, pixels.planes,
                scratch);
  TestPicture test{.height = image.height, .width = image.width};
  const ViewPixels* const only = &pixels;
  test.group.images = pad_together({&only, 1}).to(device);
  BoxedView& view = test.group.views.emplace_back();
  view.picture = picture;
  view.height = size.height;
  view.width = size.width;
  view.boxes = Tensor::zeros({0, 4});
  view.labels = Tensor::zeros({0}, DType::kI32);
  return test;
}

}  // namespace invp
