#include "data/images/draw_text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <unordered_map>
#include <vector>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

constexpr double kUnitsPerEm = 512;
constexpr char32_t kPlaceholder = 0xfffd;
constexpr std::string_view kEllipsis = "\u2026";

struct Point {
  double x = 0, y = 0;
};
/// A straight piece of an outline.
struct Edge {
  Point from, to;
};
struct Letter {
  double advance = 0;
  std::vector<Edge> edges;
};
using Letters = std::unordered_map<char32_t, Letter>;

/// Reads one line of letters.txt.
class LetterReader {
 public:
  explicit LetterReader(std::string_view line) : line_(line) {}

  std::pair<char32_t, Letter> read() {
    const auto code = static_cast<char32_t>(number(16));
    letter_.advance = number();
    while (!line_.empty()) step();
    close();
    return {code, std::move(letter_)};
  }

 private:
  int number(int base = 10) {
    line_.remove_prefix(std::min(line_.find_first_not_of(' '), line_.size()));
    int value = 0;
    const auto [end, error] =
        std::from_chars(line_.data(), line_.data() + line_.size(), value, base);
    CHECK(error == std::errc(), "[letters] not a number: ", line_);
    line_.remove_prefix(static_cast<std::size_t>(end - line_.data()));
    return value;
  }
  Point point() {
    const double x = number();
    return {x, static_cast<double>(number())};
  }

  void step() {
    const char what = line_.front();
    line_.remove_prefix(1);
    if (what == 'M') {
      close();
      first_ = at_ = point();
    } else if (what == 'L') {
      line_to(point());
    } else if (what == 'Q') {
      const Point control = point();
      curve_to(control, point());
    }
  }
  void line_to(Point to) {
    letter_.edges.push_back({at_, to});
    at_ = to;
  }
  void curve_to(Point control, Point end) {
    constexpr int kPieces = 6;
    const Point begin = at_;
    for (int i = 1; i <= kPieces; ++i) {
      const double t = static_cast<double>(i) / kPieces, s = 1 - t;
      line_to({s * s * begin.x + 2 * s * t * control.x + t * t * end.x,
               s * s * begin.y + 2 * s * t * control.y + t * t * end.y});
    }
  }
  void close() { line_to(first_); }

  std::string_view line_;
  Letter letter_;
  Point first_, at_;
};

void add_ring(Letter& letter, double left, double bottom, double right, double top) {
  const std::array<Point, 4> corners = {
      {{left, bottom}, {right, bottom}, {right, top}, {left, top}}};
  for (std::size_t i = 0; i < 4; ++i) letter.edges.push_back({corners[i], corners[(i + 1) % 4]});
}

Letter placeholder() {
  Letter box{.advance = 300, .edges = {}};
  add_ring(box, 40, 0, 260, 373);
  add_ring(box, 210, 45, 90, 328);  // the other way round: a hole
  return box;
}

Letters read_letters() {
  Letters letters;
  std::string_view rest = letters_txt();
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    if (!line.empty() && line.front() != '#') letters.insert(LetterReader(line).read());
  }
  letters[kPlaceholder] = placeholder();
  return letters;
}

const Letter& letter_of(char32_t code) {
  static const Letters letters = read_letters();
  const auto found = letters.find(code);
  return found != letters.end() ? found->second : letters.at(kPlaceholder);
}

/// Takes the first character off the text.
char32_t next_code(std::string_view& text) {
  const std::size_t length = utf8_length(text);
  if (length == 0) {
    text.remove_prefix(1);
    return kPlaceholder;
  }
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  char32_t code = length == 1 ? byte(0) : byte(0) & (0xffU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) code = code << 6 | (byte(i) & 0x3fU);
  text.remove_prefix(length);
  return code;
}

/// How much of each pixel of a rectangle lies inside outlines.
class Coverage {
 public:
  Coverage(const Box& area, std::vector<Edge> edges) : area_(area), edges_(std::move(edges)) {}

  /// Of row y, by column from area.x on, in [0, 1].
  const std::vector<float>& row(int y) {
    constexpr int kLines = 5;
    row_.assign(static_cast<std::size_t>(area_.width), 0);
    for (int line = 0; line < kLines; ++line) cross(y + (line + 0.5) / kLines, 1.0F / kLines);
    return row_;
  }

 private:
  /// Adds what lies inside on the horizontal line at y: where the winding number is not 0.
  void cross(double y, float weight) {
    crossings_.clear();
    for (const auto& [from, to] : edges_) {
      if ((from.y <= y) == (to.y <= y)) continue;
      const double x = from.x + (y - from.y) / (to.y - from.y) * (to.x - from.x);
      crossings_.emplace_back(x - area_.x, from.y < to.y ? 1 : -1);
    }
    std::ranges::sort(crossings_);
    int winding = 0;
    double begin = 0;
    for (const auto& [x, turn] : crossings_) {
      if (winding == 0) begin = x;
      winding += turn;
      if (winding == 0) fill(begin, x, weight);
    }
  }
  void fill(double begin, double end, float weight) {
    begin = std::clamp(begin, 0.0, static_cast<double>(area_.width));
    end = std::clamp(end, 0.0, static_cast<double>(area_.width));
    for (int x = static_cast<int>(begin); x < end; ++x) {
      const double part = std::min(end, x + 1.0) - std::max(begin, static_cast<double>(x));
      row_[static_cast<std::size_t>(x)] += static_cast<float>(part) * weight;
    }
  }

  Box area_;
  std::vector<Edge> edges_;
  std::vector<float> row_;
  std::vector<std::pair<double, int>> crossings_;
};

}  // namespace

double text_width(std::string_view text, double size) {
  double units = 0;
  while (!text.empty()) units += letter_of(next_code(text)).advance;
  return units * size / kUnitsPerEm;
}

std::string fitted_text(std::string_view text, double size, double width) {
  if (text_width(text, size) <= width) return std::string(text);
  std::string fitted;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view before = rest;
    next_code(rest);
    const std::string longer = fitted + std::string(before.substr(0, before.size() - rest.size()));
    if (text_width(longer + std::string(kEllipsis), size) > width) break;
    fitted = longer;
  }
  return fitted.empty() ? fitted : fitted + std::string(kEllipsis);
}

void draw_text(Image& image, std::string_view text, double x, double y, double size, Rgb color) {
  const double scale = size / kUnitsPerEm;
  const int left = std::max(0, static_cast<int>(std::floor(x)));
  const int right =
      std::min(image.width, static_cast<int>(std::ceil(x + text_width(text, size) + size * 0.1)));
  const int top = std::max(0, static_cast<int>(std::floor(y - size)));
  const int bottom = std::min(image.height, static_cast<int>(std::ceil(y + size * 0.3)));
  if (left >= right || top >= bottom) return;
  std::vector<Edge> edges;
  for (double pen = x; !text.empty();) {
    const Letter& letter = letter_of(next_code(text));
    const auto place = [&](Point p) { return Point{pen + p.x * scale, y - p.y * scale}; };
    for (const auto& [from, to] : letter.edges) edges.push_back({place(from), place(to)});
    pen += letter.advance * scale;
  }
  Coverage coverage({left, top, right - left, bottom - top}, std::move(edges));
  for (int row = top; row < bottom; ++row) {
    const std::vector<float>& covered = coverage.row(row);
    for (int column = left; column < right; ++column) {
      const float part = std::min(1.0F, covered[static_cast<std::size_t>(column - left)]);
      std::uint8_t* const pixel = image.at(column, row);
      for (std::size_t c = 0; c < 3; ++c) {
        pixel[c] = static_cast<std::uint8_t>(
            std::lround((1 - part) * static_cast<float>(pixel[c]) + part * color[c]));
      }
    }
  }
}

}  // namespace invp
