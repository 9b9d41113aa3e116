#include "data/synthetic/synthetic.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/images/decode.h"
#include "data/synthetic/scene.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

TEST(Synthetic, APictureIsAFunctionOfSeedSplitAndIndexAlone) {
  const SyntheticOptions options{.classes = 10, .size = 32, .seed = 7};
  std::vector<Image> forwards(40);
  for (int i = 0; i < 40; ++i) forwards[i] = draw_synthetic(options, SyntheticSplit::kTrain, i);
  std::vector<Image> threaded(40);
  parallel_for(0, 40, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = end - 1; i >= begin; --i) {
      threaded[static_cast<std::size_t>(i)] = draw_synthetic(options, SyntheticSplit::kTrain, i);
    }
  });
  EXPECT_EQ(forwards, threaded);

  SyntheticOptions other = options;
  other.seed = 8;
  EXPECT_NE(forwards[3], draw_synthetic(other, SyntheticSplit::kTrain, 3));
  EXPECT_NE(forwards[3], draw_synthetic(options, SyntheticSplit::kVal, 3));
  for (int i = 1; i < 40; ++i) EXPECT_NE(forwards[0], forwards[static_cast<std::size_t>(i)]);
}

TEST(Synthetic, ClassesAreBalancedAndEachHasItsOwnLook) {
  const SyntheticOptions options{.classes = 7};
  std::vector<int> count(7);
  for (int i = 0; i < 700; ++i) ++count[static_cast<std::size_t>(synthetic_label(options, i))];
  EXPECT_EQ(count, std::vector<int>(7, 100));

  std::set<std::pair<synthetic::Shape, synthetic::Texture>> looks;
  std::set<std::string> names;
  std::set<synthetic::Shape> shapes;
  std::set<synthetic::Texture> textures;
  for (int label = 0; label < 100; ++label) {
    const auto look = synthetic::look_of(label);
    looks.emplace(look.shape, look.texture);
    names.insert(synthetic_class_name(label));
    if (label < 10) {
      shapes.insert(look.shape);
      textures.insert(look.texture);
    }
  }
  EXPECT_EQ(looks.size(), 100U);
  EXPECT_EQ(names.size(), 100U);
  EXPECT_EQ(shapes.size(), 10U);
  EXPECT_EQ(textures.size(), 10U);
  // Sorted as folders are, names follow the labels.
  EXPECT_EQ(*names.begin(), synthetic_class_name(0));
  EXPECT_EQ(*names.rbegin(), synthetic_class_name(99));
}

TEST(Synthetic, BrightnessAndColorDoNotTellTheClass) {
  const SyntheticOptions options;
  constexpr int kEach = 150;
  // Means of each channel over a class: their spread is what chance gives 150 pictures.
  std::vector<std::vector<double>> means(10, std::vector<double>(3));
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < 10 * kEach; ++i) {
    const Image image = draw_synthetic(options, SyntheticSplit::kTrain, i);
    const auto [darkest, brightest] = std::ranges::minmax(image.pixels);
    EXPECT_GT(brightest - darkest, 50) << "a flat picture, number " << i;
    for (int c = 0; c < 3; ++c) {
      double mean = 0;
      for (std::size_t p = static_cast<std::size_t>(c); p < image.pixels.size(); p += 3)
        mean += image.pixels[p];
      mean /= 32 * 32;
      means[static_cast<std::size_t>(i % 10)][static_cast<std::size_t>(c)] += mean / kEach;
      sum += mean;
      squares += mean * mean;
    }
  }
  const double centre = sum / (30 * kEach);
  const double spread = std::sqrt(squares / (30 * kEach) - centre * centre);
  EXPECT_GT(centre, 90);
  EXPECT_LT(centre, 150);
  EXPECT_GT(spread, 30) << "pictures differ widely in brightness";
  for (const auto& by_channel : means) {
    for (const double mean : by_channel) EXPECT_NEAR(mean, centre, 5 * spread / std::sqrt(kEach));
  }
}

constexpr int kTrain = 5000;
constexpr int kQueries = 200;
constexpr std::size_t kDim = 32 * 32 * 3;

std::vector<float> pixel_rows(SyntheticSplit split, int count) {
  std::vector<float> rows(kDim * static_cast<std::size_t>(count));
  parallel_for(0, count, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Image image = draw_synthetic({}, split, i);
      std::ranges::copy(image.pixels, rows.begin() + i * static_cast<std::int64_t>(kDim));
    }
  });
  return rows;
}

float dot(const float* a, const float* b) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::size_t d = 0; d < kDim; ++d) sum += a[d] * b[d];
  return sum;
}

/// Takes `mean` from each row and makes it a unit vector.
void normalize_rows(std::vector<float>& rows, const std::vector<float>& mean) {
  for (std::size_t row = 0; row < rows.size(); row += kDim) {
    for (std::size_t d = 0; d < kDim; ++d) rows[row + d] -= mean[d];
    const float norm = std::sqrt(dot(&rows[row], &rows[row]));
    for (std::size_t d = 0; d < kDim; ++d) rows[row + d] /= norm;
  }
}

/// Top-1, in per cent, of weighted kNN with weight exp(s / 0.07), for K of 5 and of 200.
std::array<double, 2> knn(const std::vector<float>& train, const std::vector<float>& queries) {
  std::vector<std::array<int, 2>> right(kQueries);
  parallel_for(0, kQueries, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::pair<float, int>> near(kTrain);  // similarity and label
    for (std::int64_t q = begin; q < end; ++q) {
      for (int i = 0; i < kTrain; ++i) {
        near[static_cast<std::size_t>(i)] = {dot(&queries[static_cast<std::size_t>(q) * kDim],
                                                 &train[static_cast<std::size_t>(i) * kDim]),
                                             i % 10};
      }
      std::ranges::partial_sort(near, near.begin() + 200, std::greater<>{});
      std::array<double, 10> votes{};
      for (std::size_t k = 1; k <= 200; ++k) {
        const auto& [similarity, label] = near[k - 1];
        votes[static_cast<std::size_t>(label)] += std::exp(similarity / 0.07);
        if (k != 5 && k != 200) continue;
        right[static_cast<std::size_t>(q)][k == 200] =
            std::ranges::max_element(votes) - votes.begin() == q % 10;
      }
    }
  });
  std::array<double, 2> top1{};
  for (const auto& hits : right) {
    for (std::size_t i = 0; i < 2; ++i) top1[i] += 100.0 * hits[i] / kQueries;
  }
  return top1;
}

TEST(Synthetic, PixelsDoNotSeparateTheClasses) {
  std::vector<float> train = pixel_rows(SyntheticSplit::kTrain, kTrain);
  std::vector<float> queries = pixel_rows(SyntheticSplit::kVal, kQueries);
  std::vector<float> mean(kDim);
  for (const bool subtract : {false, true}) {
    for (std::size_t i = 0; subtract && i < train.size(); ++i) mean[i % kDim] += train[i] / kTrain;
    normalize_rows(train, mean);
    normalize_rows(queries, mean);
    for (const double top1 : knn(train, queries)) {
      EXPECT_LT(top1, 30) << "mean subtracted: " << subtract;
      EXPECT_GT(top1, 5) << "chance is 10";
    }
  }
}

/// Mean of each 8 × 8 block.
std::vector<double> reduced(const Image& image) {
  const int side = image.width / 8;
  std::vector<double> small(static_cast<std::size_t>(side * side) * 3);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      for (int c = 0; c < 3; ++c) {
        small[static_cast<std::size_t>((y / 8 * side + x / 8) * 3 + c)] += image.at(x, y)[c] / 64.0;
      }
    }
  }
  return small;
}

TEST(Synthetic, ASmallPictureIsTheLargeOneSeenFromAfar) {
  // 64 samples a pixel are an oracle for the anti-aliasing of one sample with a soft edge.
  for (int label = 0; label < 100; label += 3) {
    Random random(5, Purpose::kSynthetic, 0, static_cast<std::uint64_t>(label));
    synthetic::Scene scene = synthetic::compose(synthetic::look_of(label), random);
    scene.noise = 0;
    const Image small = synthetic::draw(scene, 32, random);
    const std::vector<double> large = reduced(synthetic::draw(scene, 256, random));
    double error = 0;
    for (std::size_t i = 0; i < large.size(); ++i) error += std::abs(large[i] - small.pixels[i]);
    EXPECT_LT(error / static_cast<double>(large.size()), 3.5) << synthetic_class_name(label);
  }
}

TEST(Synthetic, OutlinesAreDistances) {
  for (int s = 0; s < synthetic::kShapes; ++s) {
    const auto shape = static_cast<synthetic::Shape>(s);
    double area = 0;
    double steepest = 0;
    constexpr float kStep = 0.01F;
    for (float y = -1.5F; y < 1.5F; y += kStep) {
      for (float x = -1.5F; x < 1.5F; x += kStep) {
        const float here = synthetic::signed_distance(shape, {x, y});
        if (here < 0) area += kStep * kStep;
        if (std::abs(here) < 0.05F) {
          const float right = synthetic::signed_distance(shape, {x + kStep / 4, y});
          const float down = synthetic::signed_distance(shape, {x, y + kStep / 4});
          const float most = std::max(std::abs(right - here), std::abs(down - here));
          steepest = std::max(steepest, most / (kStep / 4.0));
        }
        if (std::max(std::abs(x), std::abs(y)) > 1.1F) {
          EXPECT_GT(here, 0) << synthetic::name_of(shape) << " reaches " << x << ", " << y;
        }
      }
    }
    EXPECT_GT(area, 0.9) << synthetic::name_of(shape);
    EXPECT_LT(area, 3.2) << synthetic::name_of(shape);
    const double limit = shape == synthetic::Shape::kFlower ? 1.5 : 1.02;
    EXPECT_LT(steepest, limit) << synthetic::name_of(shape);
    EXPECT_GT(steepest, 0.8) << synthetic::name_of(shape);
  }
}

TEST(Synthetic, TexturesShowBothColorsInTheirShares) {
  for (int t = 0; t < synthetic::kTextures; ++t) {
    const auto family = static_cast<synthetic::Texture>(t);
    const synthetic::TextureStyle style{
        .duty = 0.5F, .phase = {0.3F, 0.7F}, .warp = 0.1F, .seed = 3};
    double sum = 0;
    double squares = 0;
    int count = 0;
    for (float y = -4; y < 4; y += 0.05F) {
      for (float x = -4; x < 4; x += 0.05F) {
        const float value = synthetic::texture(family, style, {x, y}, 0.05F);
        ASSERT_GE(value, 0);
        ASSERT_LE(value, 1);
        sum += value;
        squares += value * value;
        ++count;
      }
    }
    const double mean = sum / count;
    EXPECT_GT(mean, 0.25) << synthetic::name_of(family);
    EXPECT_LT(mean, 0.8) << synthetic::name_of(family);
    const double spread = std::sqrt(squares / count - mean * mean);
    if (family != synthetic::Texture::kPlain) {
      EXPECT_GT(spread, 0.3) << synthetic::name_of(family);
    }
  }
}

class Synthesize : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = fs::path(testing::TempDir()) / "invp_synthesize";
    fs::remove_all(dir_);
  }
  void TearDown() override { fs::remove_all(dir_); }
  fs::path dir_;
};

TEST_F(Synthesize, WritesFilesThatDecodeToThePicturesDrawn) {
  const SynthesizeOptions options{
      .set = {.classes = 3, .size = 48, .seed = 2}, .train = 10, .val = 4};
  std::vector<std::int64_t> seen;
  synthesize(dir_, options, [&](std::int64_t done, std::int64_t total) {
    seen.push_back(done);
    EXPECT_EQ(total, 14);
  });
  EXPECT_EQ(seen, (std::vector<std::int64_t>{10, 14}));

  std::size_t files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir_)) files += entry.is_regular_file();
  EXPECT_EQ(files, 14U);
  for (int i = 0; i < 10; ++i) {
    const fs::path path = dir_ / "train" / synthetic_class_name(i % 3) /
                          ("00000" + std::to_string(i / 3 + 1) + ".jpg");
    const Image read = load_image(path);
    const Image drawn = draw_synthetic(options.set, SyntheticSplit::kTrain, i);
    ASSERT_EQ(read.width, 48);
    ASSERT_EQ(read.height, 48);
    double error = 0;
    for (std::size_t p = 0; p < drawn.pixels.size(); ++p) {
      error += std::abs(read.pixels[p] - drawn.pixels[p]);
    }
    EXPECT_LT(error / static_cast<double>(drawn.pixels.size()), 4) << path;
  }
}

TEST_F(Synthesize, RefusesAFolderInUseAndOptionsOutOfRange) {
  fs::create_directories(dir_);
  std::ofstream(dir_ / "mine.txt") << "keep";
  const auto text = [&](const SynthesizeOptions& options) {
    try {
      synthesize(dir_, options);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(text({}).find("not an empty folder"), std::string::npos) << text({});
  EXPECT_TRUE(fs::exists(dir_ / "mine.txt"));
  fs::remove(dir_ / "mine.txt");
  EXPECT_NE(text({.set = {.classes = 101}}).find("2 to 100 classes"), std::string::npos);
  EXPECT_NE(text({.set = {.size = 4}}).find("8 to 1024 pixels"), std::string::npos);
  EXPECT_NE(text({.set = {}, .train = -1}).find("counts are 0 or more"), std::string::npos);
  EXPECT_NE(text({.set = {}, .train = 2, .jpeg_quality = 0}).find("quality"), std::string::npos);
}

}  // namespace
}  // namespace invp
