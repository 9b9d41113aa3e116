#include "data/images/draw_boxes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <vector>

#include "engine/core/text.h"

namespace invp {
namespace {

constexpr Rgb kDark = {16, 18, 22};
constexpr Rgb kLight = {255, 255, 255};

/// Okabe and Ito's colors, the two darkest of them lighter so that they show on dark pictures, and
/// gray in place of black.
constexpr std::array<Rgb, 8> kColors = {{{230, 159, 0},
                                         {86, 180, 233},
                                         {0, 178, 128},
                                         {240, 228, 66},
                                         {48, 136, 216},
                                         {233, 98, 24},
                                         {221, 130, 178},
                                         {200, 205, 212}}};

/// Columns [left, right), rows [top, bottom).
struct Area {
  int left = 0, top = 0, right = 0, bottom = 0;

  int width() const { return right - left; }
  int height() const { return bottom - top; }
  double size() const { return static_cast<double>(width()) * height(); }
  Area grown(int by) const { return {left - by, top - by, right + by, bottom + by}; }
  Area moved(int x, int y) const { return {left + x, top + y, right + x, bottom + y}; }
};

double shared(const Area& a, const Area& b) {
  const int width = std::min(a.right, b.right) - std::max(a.left, b.left);
  const int height = std::min(a.bottom, b.bottom) - std::max(a.top, b.top);
  return width > 0 && height > 0 ? static_cast<double>(width) * height : 0;
}

void fill(Image& image, Area area, Rgb color) {
  area = {std::max(area.left, 0), std::max(area.top, 0), std::min(area.right, image.width),
          std::min(area.bottom, image.height)};
  for (int y = area.top; y < area.bottom; ++y) {
    for (int x = area.left; x < area.right; ++x) std::ranges::copy(color, image.at(x, y));
  }
}

/// The part of the box in the picture, in whole pixels; nothing if there is none.
std::optional<Area> area_in(const Image& image, const DrawnBox& box) {
  if (!(box.x0 < box.x1 && box.y0 < box.y1)) return {};  // nor if one is not a number
  const auto whole = [](double at, int most) {
    return static_cast<int>(std::lround(std::clamp(at, 0.0, static_cast<double>(most))));
  };
  if (box.x0 >= image.width || box.y0 >= image.height || box.x1 <= 0 || box.y1 <= 0) return {};
  Area area{whole(box.x0, image.width), whole(box.y0, image.height), whole(box.x1, image.width),
            whole(box.y1, image.height)};
  // At least a pixel, of the thinnest boxes too.
  area.left = std::min(area.left, image.width - 1);
  area.top = std::min(area.top, image.height - 1);
  area.right = std::max(area.right, area.left + 1);
  area.bottom = std::max(area.bottom, area.top + 1);
  return area;
}

/// [first, last) in dashes of about four thicknesses; the first and the last dash are at the ends.
std::vector<std::pair<int, int>> dashes(int first, int last, int thickness) {
  const int pieces = std::max(1, (last - first) / (8 * thickness)) * 2 + 1;
  std::vector<std::pair<int, int>> dashes;
  for (int i = 0; i < pieces; i += 2) {
    dashes.emplace_back(first + (last - first) * i / pieces,
                        first + (last - first) * (i + 1) / pieces);
  }
  return dashes;
}

/// The frame along the inside of the area.
std::vector<Area> frame_of(const Area& area, int thickness, BoxStyle style) {
  const int across = std::min({thickness, (area.width() + 1) / 2, (area.height() + 1) / 2});
  const auto along = [&](int first, int last) {
    return style == BoxStyle::kSolid ? std::vector{std::pair(first, last)}
                                     : dashes(first, last, thickness);
  };
  std::vector<Area> frame;
  for (const auto& [first, last] : along(area.left, area.right)) {
    frame.push_back({first, area.top, last, area.top + across});
    frame.push_back({first, area.bottom - across, last, area.bottom});
  }
  for (const auto& [first, last] : along(area.top, area.bottom)) {
    frame.push_back({area.left, first, area.left + across, last});
    frame.push_back({area.right - across, first, area.right, last});
  }
  return frame;
}

/// Relative luminance of WCAG 2.
double luminance(Rgb color) {
  const auto linear = [](std::uint8_t byte) {
    const double c = byte / 255.0;
    return c <= 0.03928 ? c / 12.92 : std::pow((c + 0.055) / 1.055, 2.4);
  };
  return 0.2126 * linear(color[0]) + 0.7152 * linear(color[1]) + 0.0722 * linear(color[2]);
}

/// Finds places for plates, one after the other.
class Places {
 public:
  Places(const Image& image, std::vector<Area> boxes)
      : width_(image.width), height_(image.height), boxes_(std::move(boxes)) {}

  /// For a plate that fits into the picture.
  Area take(const Area& box, int width, int height) {
    Area best;
    double least = 0;
    bool first = true;
    int rank = 0;
    for (const auto& [x, y] : candidates(box, width, height)) {
      const Area place = inside({x, y, x + width, y + height});
      const double cost = cost_of(place) + 1e-3 * rank++;
      if (first || cost < least) {
        least = cost;
        best = place;
      }
      first = false;
    }
    taken_.push_back(best);
    return best;
  }

 private:
  /// Corners of plates at the box, the usual places first: on its top edge, inside below it, under
  /// its bottom edge, and inside down its sides.
  static std::vector<std::pair<int, int>> candidates(const Area& box, int width, int height) {
    constexpr int kSteps = 4;
    std::vector<std::pair<int, int>> corners;
    const int room = box.width() - width;
    for (const int y : {box.top - height, box.top, box.bottom, box.bottom - height}) {
      for (int i = 0; i <= kSteps; ++i) corners.emplace_back(box.left + room * i / kSteps, y);
    }
    const int drop = box.height() - height;
    for (int i = 1; i < 2 * kSteps; ++i) {
      const int y = box.top + drop * i / (2 * kSteps);
      for (const int x : {box.left, box.right - width, box.right, box.left - width})
        corners.emplace_back(x, y);
    }
    return corners;
  }

  Area inside(const Area& area) const {
    return area.moved(std::max(0, -area.left) - std::max(0, area.right - width_),
                      std::max(0, -area.top) - std::max(0, area.bottom - height_));
  }

  /// What the plate hides: parts of other plates weigh most, then how much of each box.
  double cost_of(const Area& place) const {
    double cost = 0;
    for (const Area& other : taken_) cost += 100 * shared(place, other) / other.size();
    for (const Area& box : boxes_) cost += shared(place, box) / box.size();
    return cost;
  }

  int width_, height_;
  std::vector<Area> boxes_;
  std::vector<Area> taken_;
};

/// Labels in letters of one size.
class Labels {
 public:
  Labels(Image& image, double size)
      : image_(image),
        size_(size),
        margin_(std::max(2, static_cast<int>(std::lround(size * 0.3)))),
        height_(static_cast<int>(std::ceil(size * (kAscent + kDescent + 0.15)))) {}

  std::string text_of(const DrawnBox& box) const {
    if (box.text.empty() || height_ > image_.height) return {};
    return fitted_text(printable(box.text), size_, image_.width - 2.0 * margin_);
  }
  int width_of(const std::string& text) const {
    return std::min(image_.width,
                    static_cast<int>(std::ceil(text_width(text, size_))) + 2 * margin_);
  }
  double plate_size(const DrawnBox& box) const {
    const std::string text = text_of(box);
    return text.empty() ? 0 : static_cast<double>(width_of(text)) * height_;
  }

  void draw(const DrawnBox& box, const Area& area, Places& places) {
    const std::string text = text_of(box);
    if (text.empty()) return;
    const Area plate = places.take(area, width_of(text), height_);
    const Rgb color = kind_color(box.kind);
    fill(image_, plate, kDark);
    fill(image_, plate.grown(-std::max(1, frame_width(image_.width, image_.height) / 3)), color);
    draw_text(image_, text, plate.left + margin_, plate.top + size_ * (kAscent + 0.08), size_,
              luminance(color) > 0.18 ? kDark : kLight);
  }

 private:
  Image& image_;
  double size_;
  int margin_, height_;
};

/// Smaller than usual if the plates would cover more than a tenth of the picture.
double label_size(Image& image, std::span<const DrawnBox* const> boxes) {
  constexpr double kMostCovered = 0.1, kLeast = 0.7, kLeastPixels = 9;
  const double usual = letter_size(image.width, image.height);
  const Labels labels(image, usual);
  double plates = 0;
  for (const DrawnBox* const box : boxes) plates += labels.plate_size(*box);
  const double most = kMostCovered * image.width * image.height;
  if (plates <= most) return usual;
  return std::max(kLeastPixels, usual * std::max(kLeast, std::sqrt(most / plates)));
}

}  // namespace

Rgb kind_color(std::int64_t kind) {
  const auto number = static_cast<std::size_t>(std::max<std::int64_t>(kind, 0));
  Rgb color = kColors[number % kColors.size()];
  if (number / kColors.size() % 2 == 0) return color;
  for (std::uint8_t& c : color) c = static_cast<std::uint8_t>(c + (255 - c) * 11 / 20);
  return color;
}

int frame_width(int width, int height) {
  return std::max(1, static_cast<int>(std::lround(std::min(width, height) / 170.0)));
}

double letter_size(int width, int height) {
  return std::max(10.0, std::min(width, height) / 27.0);
}

void draw_boxes(Image& image, std::span<const DrawnBox> boxes) {
  std::vector<const DrawnBox*> shown;
  std::vector<Area> areas;
  for (const DrawnBox& box : boxes) {
    if (const auto area = area_in(image, box)) {
      shown.push_back(&box);
      areas.push_back(*area);
    }
  }
  std::vector<std::size_t> by_size(shown.size());
  std::iota(by_size.begin(), by_size.end(), std::size_t{0});
  std::ranges::stable_sort(by_size, std::greater<>(),
                           [&](std::size_t i) { return areas[i].size(); });
  const int thickness = frame_width(image.width, image.height);
  for (const std::size_t i : by_size) {
    const std::vector<Area> frame = frame_of(areas[i], thickness, shown[i]->style);
    for (const Area& piece : frame) fill(image, piece.grown(std::max(1, thickness / 2)), kDark);
    for (const Area& piece : frame) fill(image, piece, kind_color(shown[i]->kind));
  }
  Labels labels(image, label_size(image, shown));
  Places places(image, areas);
  for (std::size_t i = 0; i < shown.size(); ++i) labels.draw(*shown[i], areas[i], places);
}

}  // namespace invp
