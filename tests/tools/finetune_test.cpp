// `invp finetune` from outside: both protocols, a share of the labels, killed, interrupted and
// resumed, and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

// Six epochs of 6 steps.
constexpr const char* kRun =
    "finetune --format synthetic --synthetic-train 96 --synthetic-val 20 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --from-scratch --arch resnet18-cifar --width 4 "
    "--epochs 6 --batch-size 16 --milestones 2,4 --save-steps 1 --threads 1 --workers 1 --json ";

class Finetune : public RunTest {
 protected:
  Finetune() : RunTest(kRun) {}
};

TEST_F(Finetune, KilledAndInterruptedItEndsInTheSameBytes) {
  const Outcome whole = train("whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto results = nlohmann::json::parse(whole.last_line());
  for (const char* key : {"top1", "top5", "mean_per_class"})
    EXPECT_TRUE(results.at(key).is_number());
  EXPECT_EQ(results.at("epoch"), 6);
  EXPECT_EQ(results.at("checkpoint"), last("whole"));
  EXPECT_THAT(read_all(out("whole") + "/metrics.jsonl"), HasSubstr("\"mean_per_class\":"));
  EXPECT_THAT(read_all(out("whole") + "/curves.svg"), HasSubstr("Accuracy"));
  expect_interruptions_change_no_byte("whole");
}

TEST_F(Finetune, SemiDrawsItsImagesOnceAndTakesLists) {
  const std::string semi = "--protocol semi --labels 10% --epochs 2 ";
  const Outcome drawn = train("drawn", semi);
  ASSERT_EQ(drawn.code, 0) << drawn.err;
  EXPECT_THAT(drawn.err, HasSubstr("12 images to train on"));  // three of each class's 24
  const std::string list = out("drawn") + "/labels.txt";
  const std::string images = read_all(list);
  EXPECT_EQ(std::ranges::count(images, '\n'), 12);
  const Outcome listed = train("listed", "--protocol semi --epochs 2 --labels " + list);
  ASSERT_EQ(listed.code, 0) << listed.err;
  EXPECT_EQ(read_all(out("listed") + "/labels.txt"), images);
  EXPECT_TRUE(read_all(last("listed")) == read_all(last("drawn")));
  const Outcome other =
      train("other", "--protocol semi --labels 20% --epochs 2 --resume " + last("drawn"));
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("training images"));
}

TEST_F(Finetune, ItsConfigIsReadBack) {
  expect_config_is_read_back();
}

TEST_F(Finetune, SaysWhatIsMissingOrDoesNotFit) {
  const auto complaint = [](const std::string& arguments, int code) {
    const Outcome outcome = run_invp("finetune --format synthetic " + arguments);
    EXPECT_EQ(outcome.code, code) << arguments;
    return outcome.err;
  };
  EXPECT_THAT(complaint("", 2), HasSubstr("--checkpoint FILE is missing"));
  EXPECT_THAT(complaint("--from-scratch --checkpoint x", 2), HasSubstr("--from-scratch"));
  EXPECT_THAT(complaint("--from-scratch --labels 1%", 2), HasSubstr("--protocol semi"));
  EXPECT_THAT(
      complaint("--from-scratch --width 1 --protocol semi --labels 0% --out " + out("x"), 2),
      HasSubstr("--labels"));
  EXPECT_THAT(complaint("--checkpoint " + out("none.pth"), 1), HasSubstr("none.pth"));
  ASSERT_EQ(train("used", "--stop-after 1").code, 0);
  const Outcome again = train("used", "--stop-after 1");
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("--resume auto"));
}

TEST_F(Finetune, ThePresetsAreThoseOfTheReleasedCode) {
  for (const char* preset : {"code-semi", "code-transfer"}) {
    const Outcome outcome =
        train(preset, std::string("--preset ") + preset + " --augment linear-cifar --stop-after 1");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  }
  EXPECT_THAT(read_all(out("code-semi") + "/config.toml"), HasSubstr("fc-constant = true"));
  EXPECT_THAT(read_all(out("code-transfer") + "/config.toml"), HasSubstr("fc-first-lr = 0.05"));
}

}  // namespace
}  // namespace invp::testing
