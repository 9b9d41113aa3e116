#include <algorithm>
#include <cstring>

#include "data/images/planes.h"
#include "data/images/transform.h"
#include "engine/core/error.h"

namespace invp {
namespace {

int margin(int outer, int inner, CenterRule rule) {
  const int space = outer - inner;
  const int half = space / 2;
  if (space % 2 == 0) return half;
  return rule == CenterRule::kHalfUp || half % 2 == 1 ? half + 1 : half;
}

void check_fits(const char* op, int width, int height, int size) {
  CHECK(size > 0 && size <= width && size <= height, "[", op, "] a crop of ", size,
        " pixels does not fit into ", width, " x ", height);
}

}  // namespace

void split_row(const std::uint8_t* rgb, int width, std::uint8_t* __restrict r,
               std::uint8_t* __restrict g, std::uint8_t* __restrict b) {
  for (int x = 0; x < width; ++x) {
    r[x] = rgb[3 * x];
    g[x] = rgb[3 * x + 1];
    b[x] = rgb[3 * x + 2];
  }
}

void merge_row(const std::uint8_t* r, const std::uint8_t* g, const std::uint8_t* b, int width,
               std::uint8_t* __restrict rgb) {
  for (int x = 0; x < width; ++x) {
    rgb[3 * x] = r[x];
    rgb[3 * x + 1] = g[x];
    rgb[3 * x + 2] = b[x];
  }
}

void to_planes(ImageView image, Planes& planes) {
  planes.reshape(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::size_t at = static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width);
    split_row(image.row(y), image.width, planes.plane(0) + at, planes.plane(1) + at,
              planes.plane(2) + at);
  }
}

void to_image(const Planes& planes, Image& image) {
  image.reshape(planes.width, planes.height);
  for (int y = 0; y < image.height; ++y) {
    const std::size_t at = static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width);
    merge_row(planes.plane(0) + at, planes.plane(1) + at, planes.plane(2) + at, image.width,
              image.row(y));
  }
}

Image crop(ImageView image, const Box& box) {
  CHECK(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 &&
            box.width <= image.width - box.x && box.height <= image.height - box.y,
        "[crop] ", box.width, " x ", box.height, " at (", box.x, ", ", box.y,
        ") does not lie inside ", image.width, " x ", image.height);
  Image out(box.width, box.height);
  const ImageView part = image.part(box);
  for (int y = 0; y < box.height; ++y) std::memcpy(out.row(y), part.row(y), out.stride());
  return out;
}

Image hflip(ImageView image) {
  Image out(image.width, image.height);
  for (int y = 0; y < image.height; ++y) {
    const std::uint8_t* from = image.row(y) + out.stride();
    for (std::uint8_t* to = out.row(y); to != out.row(y) + out.stride(); to += 3) {
      std::memcpy(to, from -= 3, 3);
    }
  }
  return out;
}

std::pair<int, int> shorter_side_size(int width, int height, int size) {
  CHECK(size > 0, "[resize_shorter] the size is positive, got ", size);
  CHECK(width > 0 && height > 0, "[resize_shorter] empty picture");
  const auto longer = [size](int side, int shorter) {
    return static_cast<int>(static_cast<double>(size) * side / shorter);
  };
  if (std::min(width, height) == size) return {width, height};
  if (width < height) return {size, longer(height, width)};
  return {longer(width, height), size};
}

Image resize_shorter(ImageView image, int size) {
  const auto [width, height] = shorter_side_size(image.width, image.height, size);
  return resize(image, width, height);
}

Box center_box(int width, int height, int box_width, int box_height, CenterRule rule) {
  CHECK(box_width > 0 && box_height > 0 && box_width <= width && box_height <= height,
        "[center_crop] ", box_width, " x ", box_height, " does not fit into ", width, " x ",
        height);
  return {margin(width, box_width, rule), margin(height, box_height, rule), box_width, box_height};
}

Image center_crop(ImageView image, int size, CenterRule rule) {
  return crop(image, center_box(image.width, image.height, size, size, rule));
}

std::array<Box, 5> five_boxes(int width, int height, int size) {
  check_fits("five_crop", width, height, size);
  const int right = width - size, bottom = height - size;
  return {Box{0, 0, size, size}, Box{right, 0, size, size}, Box{0, bottom, size, size},
          Box{right, bottom, size, size}, center_box(width, height, size, size)};
}

std::array<Image, 5> five_crop(ImageView image, int size) {
  std::array<Image, 5> out;
  const auto boxes = five_boxes(image.width, image.height, size);
  std::transform(boxes.begin(), boxes.end(), out.begin(),
                 [&](const Box& box) { return crop(image, box); });
  return out;
}

std::vector<Image> ten_crop(ImageView image, int size) {
  std::vector<Image> out;
  for (const Image& source : {crop(image, {0, 0, image.width, image.height}), hflip(image)}) {
    for (Image& part : five_crop(source, size)) out.push_back(std::move(part));
  }
  return out;
}

}  // namespace invp
