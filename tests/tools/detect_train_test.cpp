// `invp detect` from outside: trained, killed and resumed, judged from its checkpoint, predicting,
// and what it refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "data/images/decode.h"
#include "tests/tools/devkit.h"
#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

/// One devkit for all tests of the program.
const std::string& devkit() {
  static const Scratch scratch;
  static const std::string folder = [] {
    write_devkit(scratch / "devkit", 10, 4);
    return scratch / "devkit";
  }();
  return folder;
}

std::string run() {
  return "detect train --data " + shell_word(devkit()) +
         " --from-scratch --width 4 --batch-size 2 --iterations 9 --min-sizes 48,64 --max-size 96 "
         "--test-size 48 --regions 16 --proposals 100 --rpn-samples 32 --warmup 2 --drops 6 "
         "--report-every 4 --precise-bn 2 --save-steps 1 --threads 1 --workers 1 --json "
         "--schedule-pictures 2 ";
}

class DetectTrain : public RunTest {
 protected:
  DetectTrain() : RunTest(run()) {}
};

TEST_F(DetectTrain, KilledAndInterruptedItEndsInTheSameBytes) {
  const Outcome whole = train("whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  const auto results = nlohmann::json::parse(whole.last_line());
  for (const char* key : {"ap", "ap50", "ap75", "loss_cls", "loss_box_reg", "loss_rpn_cls",
                          "loss_rpn_loc", "recall", "foreground"})
    EXPECT_TRUE(results.at(key).is_number()) << key;
  EXPECT_EQ(results.at("iterations"), 9);
  EXPECT_THAT(whole.err, HasSubstr("2 groups x 1 pictures, norms naive"));
  EXPECT_THAT(whole.err, HasSubstr("9/9"));
  EXPECT_TRUE(std::filesystem::exists(out("whole") + "/detections/coco_instances_results.json"));
  expect_interruptions_change_no_byte("whole");
}

TEST_F(DetectTrain, StoppedAfterAnyStepAndWithAnyWorkersItEndsInTheSameBytes) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string expected = read_all(last("whole"));
  for (int steps = 1; steps <= 8; ++steps) {
    const std::string name = "stopped" + std::to_string(steps);
    ASSERT_EQ(train(name, "--stop-after " + std::to_string(steps)).code, 0);
    const Outcome end = train(name, "--resume auto --workers " + std::to_string(1 + steps % 3));
    ASSERT_EQ(end.code, 0) << end.err;
    EXPECT_TRUE(read_all(last(name)) == expected) << "stopped after " << steps;
  }
}

TEST_F(DetectTrain, ItsConfigIsReadBack) {
  ASSERT_EQ(train("first").code, 0);
  const Outcome again =
      run_invp("detect train --config " + out("first") + "/config.toml --out " + out("second"));
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(read_all(last("second")) == read_all(last("first")));
}

TEST_F(DetectTrain, AnotherBatchFitsTheSchedule) {
  const Outcome fitted =
      train("fitted", "--batch-size 1 --schedule-pictures 2 --lr 0.004 --stop-after 1");
  ASSERT_EQ(fitted.code, 0) << fitted.err;
  // What the command line gives is not touched.
  EXPECT_THAT(fitted.err, HasSubstr("schedule 2 -> 1 pictures per iteration: rate 0.004 -> 0.004, "
                                    "iterations 9 -> 9"));
  const Outcome preset = run_invp(
      "detect train --preset detect-voc-moco --from-scratch --width 4 --data " +
      shell_word(devkit()) + " --batch-size 4 --min-sizes 48 --max-size 96 --stop-after 1 --out " +
      out("preset"));
  ASSERT_EQ(preset.code, 0) << preset.err;
  EXPECT_THAT(preset.err, HasSubstr("schedule 16 -> 4 pictures per iteration: rate 0.02 -> 0.005, "
                                    "iterations 24000 -> 96000, warm-up 400"));
}

TEST_F(DetectTrain, TheCheckpointIsJudgedAsTheRunJudgedIt) {
  const Outcome trained = train("run");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const auto of_run = nlohmann::json::parse(trained.last_line());
  const Outcome judged = run_invp("detect eval --threads 1 --json --data " + shell_word(devkit()) +
                                  " --checkpoint " + last("run") + " --to " + out("judged"));
  ASSERT_EQ(judged.code, 0) << judged.err;
  const auto of_checkpoint = nlohmann::json::parse(judged.last_line());
  for (const char* key : {"ap", "ap50", "ap75"}) EXPECT_EQ(of_checkpoint[key], of_run[key]);
  const Outcome written =
      run_invp("detect eval --threads 1 --json --data " + shell_word(devkit()) + " --detections " +
               out("judged") + "/coco_instances_results.json");
  ASSERT_EQ(written.code, 0) << written.err;
  EXPECT_EQ(nlohmann::json::parse(written.last_line()).at("detections"),
            of_checkpoint.at("detections"));
}

TEST_F(DetectTrain, ItsReportShowsTheDetections) {
  ASSERT_EQ(train("run").code, 0);
  const Outcome outcome = run_invp("report " + out("run"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string page = read_all(out("run") + "/report.html");
  for (const char* const title : {"Object detection", "Precision against recall",
                                  "Detections beside the objects", "Missed objects", "AP50"})
    EXPECT_THAT(page, HasSubstr(title));
}

TEST_F(DetectTrain, PredictDrawsAndWrites) {
  ASSERT_EQ(train("run").code, 0);
  const std::string picture = devkit() + "/VOC2007/JPEGImages/000003.jpg";
  std::ofstream(out("broken.jpg")) << "no picture";
  const Outcome outcome =
      run_invp("detect predict --json --score 0 --checkpoint " + last("run") + " --to " +
               out("found") + " " + shell_word(picture) + " " + out("broken.jpg"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("broken.jpg"));
  const Image drawn = load_image(out("found") + "/000003.png");
  EXPECT_EQ(drawn.width, 64);
  EXPECT_EQ(drawn.height, 48);
  const auto file = nlohmann::json::parse(read_all(out("found") + "/detections.json"));
  ASSERT_EQ(file.size(), 2u);
  EXPECT_TRUE(file[1].contains("error"));
  for (const auto& object : file[0].at("objects")) {
    EXPECT_TRUE(object.at("class").is_string());
    EXPECT_LE(object.at("box")[2].get<double>(), 64);
  }
}

TEST_F(DetectTrain, BeginsWithAPretrainedBackbone) {
  const Outcome pretrained = run_invp(
      "pretrain --format synthetic --synthetic-train 24 --synthetic-val 8 --synthetic-size 32 "
      "--synthetic-classes 2 --image-size 32 --arch resnet50 --width 4 --dim 8 --epochs 1 "
      "--batch-size 8 --background 8 --hard-positives 2 --knn-k 5 --out " +
      out("pretrained"));
  ASSERT_EQ(pretrained.code, 0) << pretrained.err;
  const std::string flags =
      " --width 4 --batch-size 2 --schedule-pictures 2 --iterations 2 --min-sizes 48 --max-size 96 "
      "--precise-bn 0 --test-split none --regions 16 --out ";
  const std::string from = "detect train --data " + shell_word(devkit());
  const Outcome trained =
      run_invp(from + " --checkpoint " + last("pretrained") + flags + out("detector"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_THAT(trained.err, HasSubstr("weights  318 tensors loaded"));
  EXPECT_THAT(trained.err, HasSubstr("weights  14 tensors initialized"));
  // A network without the stage that detection needs, or of another kind, is refused.
  const Outcome other = run_invp(
      "pretrain --format synthetic --synthetic-train 24 --synthetic-val 8 --synthetic-size 32 "
      "--synthetic-classes 2 --image-size 32 --arch resnet18 --width 4 --dim 8 --epochs 1 "
      "--batch-size 8 --background 8 --hard-positives 2 --knn-k 5 --out " +
      out("resnet18"));
  ASSERT_EQ(other.code, 0) << other.err;
  const Outcome refused =
      run_invp(from + " --checkpoint " + last("resnet18") + flags + out("refused"));
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("resnet18"));
  EXPECT_FALSE(std::filesystem::exists(out("refused")));
  // A detector's checkpoint has its backbone under torchvision's names.
  const Outcome listed = run_invp("convert --list " + last("detector"));
  EXPECT_EQ(listed.code, 0);
  EXPECT_THAT(listed.out, HasSubstr("Faster R-CNN R50-C4 of width 4 for 20 classes"));
}

TEST_F(DetectTrain, SaysWhatIsMissingOrDoesNotFit) {
  const auto complaint = [](const std::string& arguments, int code) {
    const Outcome outcome = run_invp("detect " + arguments);
    EXPECT_EQ(outcome.code, code) << arguments << outcome.err;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << outcome.err;
    return outcome.err;
  };
  const std::string data = " --data " + shell_word(devkit()) + " ";
  EXPECT_THAT(complaint("train" + data, 2), HasSubstr("--checkpoint FILE is missing"));
  EXPECT_THAT(complaint("train --from-scratch --checkpoint x" + data, 2),
              HasSubstr("--from-scratch"));
  EXPECT_THAT(complaint("train --from-scratch --batch-size 5 --bn-groups 2" + data, 2),
              HasSubstr("--bn-groups 2 cannot share 5"));
  EXPECT_THAT(complaint("eval" + data, 2), HasSubstr("--checkpoint FILE or --detections"));
  EXPECT_THAT(complaint("eval --checkpoint " + out("none.pth") + data, 1), HasSubstr("none.pth"));
  EXPECT_THAT(complaint("train --from-scratch --data " + out("nowhere"), 1), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace invp::testing
