// What a checkpoint says of the images of its run: taken as it stands, or refused by name.
#include "tools/options/checkpoint_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/files/safetensors.h"
#include "invp/run/run_metadata.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

const TempFolder& folder() {
  static const TempFolder one;
  return one;
}

cli::CheckpointRun run_of(const Metadata& metadata) {
  const auto path = folder() / "run.safetensors";
  write_safetensors(path, {}, metadata);
  return cli::read_checkpoint_run(path);
}

Metadata today() {
  return {{"kind", "invp-checkpoint-2"},
          {"command", "invp pretrain"},
          {"run.image-size", "96"},
          {"run.resize-shorter", "0"},
          {"run.normalize-mean", "0,0.5,1"},
          {"run.tau", "0.07"},
          {"run.normalize-std", "0.1,0.2,5.5"}};
}

TEST(CheckpointRun, SaysHowItsImagesWereShown) {
  const cli::CheckpointRun run = run_of(today());
  EXPECT_EQ(run.command, "invp pretrain");
  EXPECT_EQ(run.image_size, 96);
  EXPECT_EQ(run.resize_shorter, 0);
  EXPECT_EQ(run.tau, 0.07);
  ASSERT_TRUE(run.normalization);
  EXPECT_EQ(run.normalization->mean, (std::array<float, 3>{0, 0.5f, 1}));
  EXPECT_EQ(run.normalization->std, (std::array<float, 3>{0.1f, 0.2f, 5.5f}));
}

TEST(CheckpointRun, SaysNothingOfWhatItDoesNotKnow) {
  const cli::CheckpointRun run = run_of({{"kind", "invp-checkpoint-2"}});
  EXPECT_EQ(run.command, "");
  EXPECT_FALSE(run.image_size || run.resize_shorter || run.tau || run.normalization);
  EXPECT_EQ(run_of({{"kind", "other"}, {"run.tau", "x"}}).tau, std::nullopt);
}

TEST(CheckpointRun, SettingsThatNoRunHasAreRefusedByName) {
  const std::pair<const char*, std::vector<const char*>> kLies[] = {
      {"image-size", {"0", "-1", "32.5", "nan", "1e300", "65537", "x"}},
      {"resize-shorter", {"-1", "0.5", "inf"}},
      {"normalize-mean", {"1,2", "0,0,0,0", "nan,0,0", "0,0,1.5", "a,b,c"}},
      {"normalize-std", {"0,1,1", "1,1,-1", "1,1,inf", "1,1,1e300"}},
      {"tau", {"0", "-1", "nan", "inf", "0.07 "}}};
  for (const auto& [name, values] : kLies) {
    for (const char* value : values) {
      SCOPED_TRACE(std::string(name) + " = " + value);
      Metadata metadata = today();
      metadata["run." + std::string(name)] = value;
      EXPECT_THAT(error_of([&] { run_of(metadata); }),
                  AllOf(HasSubstr("run.safetensors: its " + std::string(name)),
                        HasSubstr("; the file is damaged")));
    }
  }
}

TEST(CheckpointRun, OfVersionOneTakesAnySizeThatIsOne) {
  Metadata metadata = {{"kind", "invp-pretraining-checkpoint-1"}, {"run.tau", "0.07"}};
  EXPECT_EQ(run_of(metadata).image_size, std::nullopt);
  for (const char* none : {"", "nan px", "inf px", "-1 px", "0 px", "1e300 px", "px"}) {
    metadata["run.augmentation"] = none;
    EXPECT_EQ(run_of(metadata).image_size, std::nullopt) << none;
  }
  metadata["run.augmentation"] = "224 px, framing 0";
  EXPECT_EQ(run_of(metadata).image_size, 224);
  EXPECT_EQ(run_of(metadata).command, "invp pretrain");
}

}  // namespace
}  // namespace invp::testing
