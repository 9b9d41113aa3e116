// Where a run stood, as its checkpoint tells it: to the bit, and within bounds.
#include "invp/run/position.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const std::vector<std::string> kLosses = {"loss", "instance"};

Position somewhere() {
  return {
      .progress = {.step = 13, .epoch = 2, .epoch_step = 3, .steps_per_epoch = 10},
      .images = 30,
      .loss_sums = {1.0 / 3, -0.0},
      .seconds = 0.1,
      .wait_seconds = 1e-300,
      .last_losses = {4.5, 1e300},
      .best = {{"knn_top1", {.value = 33.3, .epoch = 1}}},
      .bad_images = {
          {0, ": cut short"}, {7, ""}, {1'000'000'000'000, "100 %\tof \xc3\xa9\xff\nlines\x7f"}}};
}

Metadata written() {
  Metadata metadata;
  write_position(somewhere(), kLosses, metadata);
  return metadata;
}

TEST(Position, IsReadAsItWasWritten) {
  const Position read = read_position(written(), kLosses, 10, "run");
  const Position expected = somewhere();
  EXPECT_EQ(read.progress.step, 13);
  EXPECT_EQ(read.progress.epoch, 2);
  EXPECT_EQ(read.progress.epoch_step, 3);
  EXPECT_EQ(read.loss_sums, expected.loss_sums);
  EXPECT_EQ(read.last_losses, expected.last_losses);
  EXPECT_EQ(read.bad_images, expected.bad_images);
  Metadata again;
  write_position(read, kLosses, again);
  EXPECT_EQ(again, written());
}

TEST(Position, NumbersOutOfTheirRangeAreRefusedByName) {
  const std::pair<const char*, std::vector<const char*>> kLies[] = {
      {"epoch", {"0", "-1", "2147483647", "4294967298", "two", ""}},
      {"step", {"-1", "9223372036854775808", "3.0"}},
      {"global_step", {"-13", "1e3"}},
      {"images", {"-30", "nan"}},
      {"bad_images", {"nan", "inf", "1e300", "-1", "1.5", "1,,2", "9223372036854775808"}},
      {"bad_reasons", {"%", "%4", "%4x", "%-1", "% 1", "a\nb\nc\nd\n"}},
      {"best_epoch.knn_top1", {"-1", "4294967297"}}};
  for (const auto& [key, values] : kLies) {
    for (const char* value : values) {
      SCOPED_TRACE(std::string(key) + " = " + value);
      Metadata metadata = written();
      metadata["position." + std::string(key)] = value;
      const std::string name = std::string(key).substr(std::string(key).find('.') + 1);
      EXPECT_THAT(error_of([&] { read_position(metadata, kLosses, 10, "run"); }),
                  AllOf(HasSubstr("run: '"), HasSubstr(name)));
    }
  }
}

TEST(Position, TimesThatCannotBeAreRefused) {
  for (const char* key : {"seconds", "wait_seconds"}) {
    for (const double value : {-1.0, std::nan(""), double{INFINITY}}) {
      Metadata metadata = written();
      metadata["position." + std::string(key)] = exact_text(value);
      EXPECT_THAT(error_of([&] { read_position(metadata, kLosses, 10, "run"); }),
                  AllOf(HasSubstr("run: "), HasSubstr("seconds"), HasSubstr("damaged")));
    }
  }
}

TEST(Position, StepsThatAreNoNumberAreUnknown) {
  Metadata metadata = written();
  EXPECT_EQ(steps_taken(metadata), 13);
  for (const char* value : {"", "x", "-13", "1e3"}) {
    metadata["position.global_step"] = value;
    EXPECT_EQ(steps_taken(metadata), -1) << value;
  }
  EXPECT_EQ(steps_taken({}), -1);
}

}  // namespace
}  // namespace invp::testing
