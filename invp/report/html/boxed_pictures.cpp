// Pictures and parts of them with boxes, as JPEG in the page.
#include <algorithm>
#include <cmath>

#include "data/images/decode.h"
#include "data/images/encode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "invp/report/html/detection_parts.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

constexpr std::uint8_t kGray = 128;
// Labels are small letters in color, which half the resolution would smear.
constexpr JpegOptions kJpeg{.quality = 82, .subsampling = Subsampling::k444};

/// The pixels that a region touches, at least one.
Box pixels_of(const ObjectBox& region, const Image& image) {
  const auto whole = [](double at, int most) {
    return static_cast<int>(std::clamp(at, 0.0, static_cast<double>(most)));
  };
  Box box;
  box.x = whole(std::floor(region.x), image.width - 1);
  box.y = whole(std::floor(region.y), image.height - 1);
  box.width = std::max(1, whole(std::ceil(region.right()), image.width) - box.x);
  box.height = std::max(1, whole(std::ceil(region.bottom()), image.height) - box.y);
  return box;
}

}  // namespace

const Image& BoxedPictures::load(std::int64_t picture) {
  if (loaded_ == picture) return image_;
  loaded_ = picture;
  try {
    image_ = load_image(set_.picture_path(picture));
  } catch (const Error& error) {
    unread_.emplace(picture, error.what());
    const BoxedPicture& of = set_.pictures[static_cast<std::size_t>(picture)];
    constexpr int kMost = 4096;
    image_.reshape(std::clamp(of.width, 1, kMost), std::clamp(of.height, 1, kMost));
    std::ranges::fill(image_.pixels, kGray);
  }
  return image_;
}

ObjectBox BoxedPictures::all_of(std::int64_t picture) {
  const BoxedPicture& of = set_.pictures[static_cast<std::size_t>(picture)];
  if (of.width > 0 && of.height > 0)
    return {0, 0, static_cast<double>(of.width), static_cast<double>(of.height)};
  const Image& image = load(picture);
  return {0, 0, static_cast<double>(image.width), static_cast<double>(image.height)};
}

BoxedPictures::Drawn BoxedPictures::draw(std::int64_t picture, const ObjectBox& region, int width,
                                         int height, std::vector<DrawnBox> boxes) {
  const Image& image = load(picture);
  // Annotations may be of a copy of another size.
  const ObjectBox all = all_of(picture);
  const double to_x = image.width / all.width, to_y = image.height / all.height;
  const Box part = pixels_of(
      {region.x * to_x, region.y * to_y, region.width * to_x, region.height * to_y}, image);
  const double scale =
      std::min(static_cast<double>(width) / part.width, static_cast<double>(height) / part.height);
  Image drawn = resize(ImageView(image).part(part),
                       std::max(1, static_cast<int>(std::lround(part.width * scale))),
                       std::max(1, static_cast<int>(std::lround(part.height * scale))));
  for (DrawnBox& box : boxes) {
    box.x0 = (box.x0 * to_x - part.x) * scale;
    box.x1 = (box.x1 * to_x - part.x) * scale;
    box.y0 = (box.y0 * to_y - part.y) * scale;
    box.y1 = (box.y1 * to_y - part.y) * scale;
  }
  draw_boxes(drawn, boxes);
  return {jpeg_uri(encode_jpeg(drawn, kJpeg)), drawn.width, drawn.height};
}

std::string BoxedPictures::unread() const {
  if (unread_.empty()) return {};
  return message(counted(std::ssize(unread_), "picture"), " cannot be read and ",
                 unread_.size() == 1 ? "is" : "are", " gray, the first: ", unread_.begin()->second);
}

}  // namespace invp
