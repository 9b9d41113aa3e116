// What a scene shows. The ranges here have two purposes:
// - Images of one class share shapes and textures, but no pixels, colors or places.
// - They differ mostly in what augmentation varies (color, place, scale, light), so that a small
//   network finds the classes within minutes.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "data/synthetic/scene.h"
#include "engine/core/error.h"

namespace invp::synthetic {
namespace {

constexpr double kTau = 2 * std::numbers::pi;

float real(Random& random, double low, double high) {
  return static_cast<float>(random.uniform(low, high));
}
int whole(Random& random, int low, int high) {
  return static_cast<int>(random.integer(low, high));
}
float turn(Random& random) {
  return real(random, 0, kTau);
}
/// Up to nearly a quarter turn either way. Augmentation mirrors but does not turn, so full turns
/// would be the hardest variation for the network to learn.
float lean(Random& random) {
  return real(random, -1.5, 1.5);
}

/// A color of given hue (in turns), saturation and brightness (luma, kept off black and white).
Color color(float hue, float saturation, float luma) {
  luma = std::clamp(luma, 0.04F, 0.97F);
  const auto channel = [&](float shift) {
    const float wave = std::cos(static_cast<float>(kTau) * (hue - shift));
    return 0.5F + 0.5F * wave;
  };
  const Color pure{channel(0), channel(1.0F / 3), channel(2.0F / 3)};
  const float gray = 0.299F * pure.red + 0.587F * pure.green + 0.114F * pure.blue;
  const float strength = 1.3F * saturation * std::sqrt(luma * (1.3F - luma));
  return {luma + strength * (pure.red - gray), luma + strength * (pure.green - gray),
          luma + strength * (pure.blue - gray)};
}

/// Two colors that differ enough in brightness for the texture to show in gray.
std::array<Color, 2> two_tone(Random& random) {
  const float hue = real(random, 0, 1);
  const float other = random.uniform() < 0.5 ? hue + real(random, -0.08, 0.08) : real(random, 0, 1);
  const float dark = real(random, 0.08, 0.45);
  const float light = std::min(0.97F, dark + real(random, 0.32, 0.6));
  std::array<Color, 2> paint{color(hue, real(random, 0.2, 1), light),
                             color(other, real(random, 0.2, 1), dark)};
  if (random.uniform() < 0.5) std::swap(paint[0], paint[1]);
  return paint;
}

/// The object that the label names: large, and near the middle.
Figure object(const ClassLook& look, Random& random) {
  const float reach = real(random, 0, 0.45);
  const float towards = turn(random);
  Figure figure;
  figure.shape = look.shape;
  figure.centre = {reach * std::cos(towards), reach * std::sin(towards)};
  figure.radius = real(random, 0.7, 0.95);
  figure.angle = lean(random);
  figure.aspect = std::exp(real(random, -0.1, 0.1));
  figure.texture = look.texture;
  figure.style = {.duty = real(random, 0.38, 0.62),
                  .phase = {real(random, 0, 1), real(random, 0, 1)},
                  .warp = real(random, 0, 0.04),
                  .spokes = whole(random, 6, 10),
                  .seed = random.bits()};
  figure.period = real(random, 0.28, 0.36);
  figure.texture_angle = lean(random);
  figure.paint = two_tone(random);
  figure.relief = real(random, 0.3, 1);
  return figure;
}

/// Plain pieces of any shape in the background's own range of colors.
void add_clutter(float hue, Random& random, std::vector<Figure>& figures) {
  const int count = whole(random, 1, 4);
  for (int i = 0; i < count; ++i) {
    Figure piece;
    piece.shape = static_cast<Shape>(whole(random, 0, kShapes - 1));
    piece.centre = {real(random, -1.1, 1.1), real(random, -1.1, 1.1)};
    piece.radius = real(random, 0.08, 0.4);
    piece.angle = turn(random);
    piece.aspect = std::exp(real(random, -0.4, 0.4));
    piece.opacity = real(random, 0.25, 0.8);
    piece.style.duty = 1;
    const Color paint =
        color(hue + real(random, -0.2, 0.2), real(random, 0.1, 0.9), real(random, 0.15, 0.85));
    piece.paint = {paint, paint};
    figures.push_back(piece);
  }
}

/// At most one thin bar across the foreground.
void add_twig(Random& random, std::vector<Figure>& figures) {
  if (random.uniform() < 0.5) return;
  Figure twig;
  twig.shape = Shape::kCapsule;
  twig.centre = {real(random, -0.8, 0.8), real(random, -0.8, 0.8)};
  twig.angle = turn(random);
  twig.radius = real(random, 0.2, 0.32);
  twig.aspect = real(random, 10, 16);
  twig.style.duty = 1;
  const Color paint = color(real(random, 0, 1), real(random, 0, 0.6), real(random, 0.05, 0.95));
  twig.paint = {paint, paint};
  twig.opacity = real(random, 0.6, 1);
  figures.push_back(twig);
}

/// Everything but the objects and what lies before them.
Scene surroundings(Random& random) {
  Scene scene;
  const float hue = real(random, 0, 1);
  const float luma = real(random, 0.2, 0.8);
  scene.background = {color(hue, real(random, 0.1, 0.8), luma),
                      color(hue + real(random, -0.15, 0.15), real(random, 0.1, 0.8),
                            luma + real(random, -0.25, 0.25))};
  scene.background_angle = turn(random);
  for (Wave& wave : scene.waves) {
    const float angle = turn(random);
    const float pace = real(random, 1, 5);
    wave = {.direction = {pace * std::cos(angle), pace * std::sin(angle)},
            .phase = turn(random),
            .depth = real(random, 0, 0.03)};
  }
  const float from = turn(random);
  scene.light = {std::cos(from), std::sin(from)};
  scene.light_fall = real(random, 0, 0.2);
  scene.noise = real(random, 0.005, 0.03);
  add_clutter(hue, random, scene.figures);
  return scene;
}

}  // namespace

ClassLook look_of(int label) {
  CHECK(label >= 0 && label < kShapes * kTextures, "[synthetic] a label is 0 to ",
        kShapes * kTextures - 1, ", got ", label);
  return {.shape = static_cast<Shape>(label % kShapes),
          .texture = static_cast<Texture>((label + label / kShapes) % kTextures)};
}

Scene compose(const ClassLook& look, Random& random) {
  Scene scene = surroundings(random);
  scene.figures.push_back(object(look, random));
  add_twig(random, scene.figures);
  return scene;
}

Scene compose_several(int classes, Random& random, std::vector<Object>& objects) {
  Scene scene = surroundings(random);
  const int wanted = whole(random, 2, 6);
  std::vector<Figure> placed;
  // A place that is taken costs an attempt.
  for (int attempt = 0; attempt < 40 && std::ssize(placed) < wanted; ++attempt) {
    const int label = whole(random, 0, classes - 1);
    Figure figure = object(look_of(label), random);
    const float size = real(random, 0.2, 0.5);
    figure.period *= size / figure.radius;
    figure.radius = size;
    figure.centre = {real(random, -0.9, 0.9), real(random, -0.9, 0.9)};
    const auto hides = [&](const Figure& other) {
      const float apart =
          std::hypot(figure.centre.x - other.centre.x, figure.centre.y - other.centre.y);
      return apart < 0.85F * (figure.radius + other.radius);
    };
    if (std::ranges::any_of(placed, hides)) continue;
    objects.push_back({.label = label, .figure = scene.figures.size()});
    scene.figures.push_back(figure);
    placed.push_back(figure);
  }
  add_twig(random, scene.figures);
  return scene;
}

}  // namespace invp::synthetic
