// Pictures: decoding, each transform, and the whole imagenet pipeline from JPEG bytes to floats,
// one thread. The picture is drawn here, about as hard to code as a photograph (some 80 KB at
// quality 90).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>

#include "data/images/augment.h"
#include "data/images/encode.h"

namespace invp {
namespace {

constexpr int kWidth = 500, kHeight = 375, kSize = 224;

const Image& picture() {
  static const Image image = [] {
    Image drawn(kWidth, kHeight);
    Random random(1, Purpose::kBenchmark);
    for (int y = 0; y < kHeight; ++y) {
      for (int x = 0; x < kWidth; ++x) {
        const double grain = 7 * random.normal();
        const double edge = (x / 60 + y / 45) % 2 == 0 ? 25 : -25;
        for (int c = 0; c < 3; ++c) {
          const double v = 128 + 60 * std::sin(x / (40.0 + 9 * c) + y / (70.0 - 9 * c)) + edge;
          drawn.at(x, y)[c] = static_cast<std::uint8_t>(std::clamp(v + grain, 0.0, 255.0));
        }
      }
    }
    return drawn;
  }();
  return image;
}

const std::vector<std::uint8_t>& jpeg() {
  static const auto bytes = encode_jpeg(picture());
  return bytes;
}

Planes small_planes() {
  Planes planes;
  to_planes(resize(picture(), kSize, kSize), planes);
  return planes;
}

void decode_whole(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(jpeg(), "picture"));
}
BENCHMARK(decode_whole)->Unit(benchmark::kMicrosecond);

void decode_middle(benchmark::State& state) {
  Image out;
  for (auto _ : state) decode_region(jpeg(), "picture", {60, 40, 385, 290}, out);
}
BENCHMARK(decode_middle)->Unit(benchmark::kMicrosecond);

void resize_middle(benchmark::State& state) {
  Planes out;
  ResizeScratch scratch;
  const ImageView part = ImageView(picture()).part({60, 40, 385, 290});
  for (auto _ : state) resize_window(part, kSize, kSize, {0, 0, kSize, kSize}, out, scratch);
}
BENCHMARK(resize_middle)->Unit(benchmark::kMicrosecond);

/// Factors near 1 leave the picture a picture however often they are applied.
template <class Operation>
void transform(benchmark::State& state, Operation operation) {
  Planes planes = small_planes();
  for (auto _ : state) operation(planes);
}
BENCHMARK_CAPTURE(transform, brightness, [](Planes& p) {
  adjust_brightness(p, 1.001);
})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(transform, contrast, [](Planes& p) {
  adjust_contrast(p, 1.001);
})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(transform, saturation, [](Planes& p) {
  adjust_saturation(p, 1.001);
})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(transform, hue, [](Planes& p) {
  adjust_hue(p, 0.05);
})->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(transform, grayscale, [](Planes& p) {
  grayscale(p);
})->Unit(benchmark::kMicrosecond);

void blur(benchmark::State& state) {
  Planes planes = small_planes();
  std::vector<std::uint8_t> scratch;
  for (auto _ : state) gaussian_blur(planes, static_cast<double>(state.range(0)) / 10, scratch);
}
BENCHMARK(blur)->Arg(5)->Arg(19)->ArgName("sigma*10")->Unit(benchmark::kMicrosecond);

void normalize(benchmark::State& state) {
  const Planes planes = small_planes();
  const NormalizationTable table(kImagenetNormalization);
  std::vector<float> out(3 * kSize * kSize);
  for (auto _ : state) {
    to_tensor(planes, table, state.range(0) != 0, out.data());
    benchmark::ClobberMemory();
  }
}
BENCHMARK(normalize)->Arg(0)->Arg(1)->ArgName("flip")->Unit(benchmark::kMicrosecond);

/// What a loader's thread does where a GPU augments.
void crop_only(benchmark::State& state) {
  Augmenter augmenter(augment_preset("imagenet"));
  std::uint64_t sample = 0;
  for (auto _ : state) {
    Random random(1, Purpose::kAugmentation, 0, sample++);
    benchmark::DoNotOptimize(augmenter.take_crop(jpeg(), "picture", random));
  }
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(crop_only)->Unit(benchmark::kMillisecond);

void whole_pipeline(benchmark::State& state) {
  Augmenter augmenter(augment_preset("imagenet"));
  std::vector<float> out(3 * kSize * kSize);
  std::uint64_t sample = 0;
  for (auto _ : state) {
    Random random(1, Purpose::kAugmentation, 0, sample++);
    augmenter.augment_into(jpeg(), "picture", random, out.data());
  }
  state.counters["images/s"] =
      benchmark::Counter(static_cast<double>(state.iterations()), benchmark::Counter::kIsRate);
}
BENCHMARK(whole_pipeline)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace invp
