#include "engine/ops/detection/sample_labels.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>

#include "engine/core/parallel.h"
#include "engine/ops/detection/match_boxes.h"
#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SampleLabelsTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(SampleLabelsTest);

/// Positives, negatives and rows that are neither, mixed.
std::vector<std::int32_t> mixed(std::int64_t positives, std::int64_t negatives) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(positives), 1);
  labels.insert(labels.end(), static_cast<std::size_t>(negatives), 0);
  labels.insert(labels.end(), 17, kNoLabel);
  Random(3, Purpose::kSynthetic).shuffle(std::span(labels));
  return labels;
}

Tensor on(Device device, const std::vector<std::int32_t>& labels) {
  return Tensor::from(labels, {1, std::ssize(labels)}, device);
}

/// The rows of the highest draws of Random itself, ascending.
std::vector<std::int64_t> reference(const std::vector<std::int32_t>& labels, std::int32_t kind,
                                    std::size_t most, Random random) {
  std::vector<std::pair<std::uint32_t, std::int64_t>> drawn;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const std::uint32_t draw = random.bits();
    if (labels[i] == kind) drawn.emplace_back(draw, static_cast<std::int64_t>(i));
  }
  std::ranges::sort(drawn, std::greater());
  drawn.resize(std::min(most, drawn.size()));
  std::vector<std::int64_t> rows;
  for (const auto& [draw, row] : drawn) rows.push_back(row);
  std::ranges::sort(rows);
  return rows;
}

// detectron2's counts: positives there are, negatives there are, to draw, most positives, both
// drawn.
TEST_P(SampleLabelsTest, DrawsAsManyAsDetectron2) {
  const std::int64_t rows[][6] = {{0, 5000, 256, 128, 0, 256},     {1, 5000, 256, 128, 1, 255},
                                  {127, 5000, 256, 128, 127, 129}, {129, 5000, 256, 128, 128, 128},
                                  {500, 50, 256, 128, 128, 50},    {10, 20, 256, 128, 10, 20},
                                  {0, 0, 256, 128, 0, 0},          {300, 2000, 512, 128, 128, 384},
                                  {300, 100, 512, 128, 128, 100},  {3, 60, 512, 128, 3, 60}};
  for (const auto& [positives, negatives, count, most, want_positives, want_negatives] : rows) {
    SCOPED_TRACE(message(positives, " + ", negatives));
    const std::vector<std::int32_t> labels = mixed(positives, negatives);
    const SampleParams params{
        .count = count, .most_positives = most, .seed = 5, .step = 7, .first_picture = 2};
    const Samples samples = sample_labels(on(device(), labels), params);
    EXPECT_THAT(integers_of(samples.counts), ElementsAre(want_positives, want_negatives));

    const Random random(5, Purpose::kAnchorSample, 7, 2);
    std::vector<std::int64_t> want = reference(labels, 1, static_cast<std::size_t>(most), random);
    const std::vector<std::int64_t> below =
        reference(labels, 0, static_cast<std::size_t>(count) - want.size(), random);
    want.insert(want.end(), below.begin(), below.end());
    std::vector<std::int64_t> kept(labels.size(), kNoLabel);
    for (const std::int64_t row : want) {
      kept[static_cast<std::size_t>(row)] = labels[static_cast<std::size_t>(row)];
    }
    want.resize(static_cast<std::size_t>(count), -1);
    EXPECT_EQ(integers_of(samples.rows), want);
    EXPECT_EQ(integers_of(samples.labels), kept);
  }
}

// A picture draws the same whatever batch or rank it is computed in, and however many threads.
TEST_P(SampleLabelsTest, DependsOnThePictureAlone) {
  const std::vector<std::int32_t> one = mixed(50, 300);
  std::vector<std::int32_t> three;
  for (int i = 0; i < 3; ++i) three.insert(three.end(), one.begin(), one.end());
  const SampleParams params{.count = 40, .most_positives = 10, .step = 9, .first_picture = 4};
  const Tensor together =
      sample_labels(Tensor::from(three, {3, std::ssize(one)}, device()), params).rows;
  const int before = num_threads();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    for (std::int64_t picture = 0; picture < 3; ++picture) {
      SampleParams alone = params;
      alone.first_picture += static_cast<std::uint64_t>(picture);
      expect_identical(sample_labels(on(device(), one), alone).rows,
                       together.slice(picture, picture + 1));
    }
  }
  set_num_threads(before);
  EXPECT_NE(integers_of(together.slice(0, 1)), integers_of(together.slice(1, 2)));
}

// Of 12 rows 3 are drawn: each in a quarter of the steps, 500 of 2,000 give or take 4 deviations.
TEST(SampleLabels, DrawsEveryRowAsOften) {
  std::map<std::int64_t, int> often;
  for (std::uint64_t step = 0; step < 2000; ++step) {
    const Samples samples = sample_labels(on(kCpu, std::vector<std::int32_t>(12, 0)),
                                          {.count = 3, .most_positives = 1, .step = step});
    for (const std::int64_t row : integers_of(samples.rows)) ++often[row];
  }
  ASSERT_EQ(often.size(), 12u);
  for (const auto& [row, count] : often) EXPECT_NEAR(count, 500, 78) << row;
}

TEST(SampleLabels, RefuseWhatMakesNoSense) {
  EXPECT_THAT(error_of([] { sample_labels(Tensor::zeros({4}), {}); }),
              HasSubstr("labels must be i32 of shape (B, n)"));
  EXPECT_THAT(
      error_of([] {
        sample_labels(Tensor::zeros({1, 4}, DType::kI32), {.count = 3, .most_positives = 4});
      }),
      HasSubstr("cannot draw 3 rows with up to 4 positives"));
}

}  // namespace
}  // namespace invp::testing
