#include "invp/run/batch_of_one.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/core/error.h"
#include "layers/resnet.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Empty if it is accepted.
std::string refusal(std::int64_t images, std::int64_t batch_size, std::int64_t groups,
                    int last_map = 1) {
  try {
    check_batches(images, batch_size, groups, last_map);
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

TEST(BatchOfOne, IsRefusedWithABatchSizeThatAvoidsIt) {
  EXPECT_THAT(refusal(33, 8, 1), AllOf(HasSubstr("--batch-size 8: of 33 images"),
                                       HasSubstr("--batch-size 7 avoids it")));
  EXPECT_EQ(refusal(33, 7, 1), "");
  EXPECT_EQ(refusal(32, 8, 1), "");
  EXPECT_EQ(refusal(34, 8, 1), "");
  EXPECT_EQ(refusal(33, 8, 1, 2), "") << "a map of 2 x 2 has four values";
  EXPECT_THAT(refusal(1, 8, 1), HasSubstr("give more images"));
}

TEST(BatchOfOne, IsFoundInPartsThatAreNormalizedApart) {
  EXPECT_THAT(refusal(50, 5, 4), HasSubstr("--bn-groups")) << "2, 2 and 1";
  EXPECT_EQ(refusal(48, 6, 3), "");
  EXPECT_THAT(refusal(51, 8, 2), HasSubstr("--bn-groups")) << "the last batch: 2 and 1";
}

// The last map of each form, by a forward pass.
TEST(BatchOfOne, KnowsTheLastMapOfANetwork) {
  for (const auto& [name, arch] : all_archs()) {
    ResNet network({.arch = arch, .width = 2, .dim = 4});
    for (const int size : {8, 9, 17, 32, 33, 64}) {
      std::int64_t height = 0;
      network.taps(Tensor::zeros({2, size, size, 3}), network.tap_count(),
                   [&](int, const Tensor& output) { height = output.dim(1); });
      EXPECT_EQ(last_map(arch, size), height) << name << " " << size;
    }
  }
}

}  // namespace
}  // namespace invp::testing
