#include "data/images/steps.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

struct StepRule {
  using Values = std::array<double, 4>;

  std::string_view name;
  std::vector<std::string_view> keys;
  bool counts_pixels;  // values are whole numbers
  void (*apply)(Image& image, const Values& values);
  std::string_view help;
};

namespace {

using Values = StepRule::Values;

int pixels(double value) {
  return static_cast<int>(value);
}

const std::vector<StepRule>& rules() {
  static const std::vector<StepRule> all = {
      {"crop",
       {"x", "y", "w", "h"},
       true,
       [](Image& i, const Values& v) {
         i = crop(i, {pixels(v[0]), pixels(v[1]), pixels(v[2]), pixels(v[3])});
       },
       "w x h pixels whose top left is (x, y)"},
      {"resize",
       {"w", "h"},
       true,
       [](Image& i, const Values& v) { i = resize(i, pixels(v[0]), pixels(v[1])); },
       "to w x h, antialiased bilinear"},
      {"resize-shorter",
       {"size"},
       true,
       [](Image& i, const Values& v) { i = resize_shorter(i, pixels(v[0])); },
       "shorter side to size, shape kept"},
      {"center-crop",
       {"size"},
       true,
       [](Image& i, const Values& v) { i = center_crop(i, pixels(v[0])); },
       "the central square"},
      {"brightness",
       {"f"},
       false,
       [](Image& i, const Values& v) { adjust_brightness(i, v[0]); },
       "f = 0 is black, 1 changes nothing"},
      {"contrast",
       {"f"},
       false,
       [](Image& i, const Values& v) { adjust_contrast(i, v[0]); },
       "f = 0 is the mean gray, 1 changes nothing"},
      {"saturation",
       {"f"},
       false,
       [](Image& i, const Values& v) { adjust_saturation(i, v[0]); },
       "f = 0 is gray, 1 changes nothing"},
      {"hue",
       {"f"},
       false,
       [](Image& i, const Values& v) { adjust_hue(i, v[0]); },
       "turns by f in [-0.5, 0.5] of the circle"},
      {"grayscale", {}, false, [](Image& i, const Values&) { grayscale(i); }, "luma"},
      {"blur",
       {"sigma"},
       false,
       [](Image& i, const Values& v) { gaussian_blur(i, v[0]); },
       "Gaussian of sigma pixels"},
      {"hflip", {}, false, [](Image& i, const Values&) { i = hflip(i); }, "left to right"},
  };
  return all;
}

std::string usage(const StepRule& rule) {
  std::string text(rule.name);
  for (const std::string_view key : rule.keys) {
    text += key == rule.keys.front() ? ':' : ',';
    (text += key) += '=';
  }
  return text;
}

const StepRule& find_rule(std::string_view name) {
  std::vector<std::string> names;
  for (const StepRule& rule : rules()) {
    if (rule.name == name) return rule;
    names.emplace_back(rule.name);
  }
  fail("[step] no step is named '", name, "': did you mean '", nearest(name, names), "'?");
}

double parse_value(const StepRule& rule, std::string_view key, std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  CHECK(code == std::errc{} && end == text.data() + text.size() && std::isfinite(value), "[step] ",
        rule.name, ": ", key, " is a number, got '", text, "'");
  CHECK(!rule.counts_pixels || (value == std::floor(value) && std::abs(value) < 1e9), "[step] ",
        rule.name, ": ", key, " is a whole number of pixels, got '", text, "'");
  return value;
}

}  // namespace

Step parse_step(std::string_view text) {
  const std::size_t colon = text.find(':');
  const StepRule& rule = find_rule(text.substr(0, colon));
  Step step{&rule};
  std::vector<bool> given(rule.keys.size());
  std::string_view rest = colon == text.npos ? std::string_view{} : text.substr(colon + 1);
  while (!rest.empty()) {
    const std::string_view pair = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    CHECK(equals != pair.npos, "[step] ", rule.name, ": '", pair, "' is not key=value; write ",
          usage(rule));
    const std::string_view key = pair.substr(0, equals);
    CHECK(!rule.keys.empty(), "[step] ", rule.name, " takes no keys, got '", key, "'");
    const auto found = std::ranges::find(rule.keys, key);
    CHECK(found != rule.keys.end(), "[step] ", rule.name, " has no key '", key, "': did you mean '",
          nearest(key, {rule.keys.begin(), rule.keys.end()}), "'?");
    const auto index = static_cast<std::size_t>(found - rule.keys.begin());
    CHECK(!given[index], "[step] ", rule.name, ": ", key, " is given twice");
    given[index] = true;
    step.values[index] = parse_value(rule, key, pair.substr(equals + 1));
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    CHECK(given[i], "[step] ", rule.name, ": ", rule.keys[i], " is missing; write ", usage(rule));
  }
  return step;
}

Image apply_step(Image image, const Step& step) {
  step.rule->apply(image, step.values);
  return image;
}

Image apply_steps(Image image, std::span<const Step> steps) {
  for (const Step& step : steps) image = apply_step(std::move(image), step);
  return image;
}

std::string step_help() {
  std::string text;
  for (const StepRule& rule : rules()) {
    std::string line = usage(rule);
    line.resize(std::max<std::size_t>(line.size() + 2, 24), ' ');
    (text += line += rule.help) += '\n';
  }
  return text;
}

}  // namespace invp
