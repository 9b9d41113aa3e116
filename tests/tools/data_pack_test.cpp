// invp data pack as a person uses it: packs are made, found, looked at, checked and trained on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace invp {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using testing::Outcome;
using testing::read_all;
using testing::run_invp;
using testing::Scratch;

json results(const Outcome& outcome, int code = 0) {
  EXPECT_EQ(outcome.code, code) << outcome.err;
  return json::parse(outcome.last_line(), nullptr, false);
}

class DataPackTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(run_invp("data synthesize " + set() + " --train 24 --val 10 --size 40").code, 0);
  }
  std::string set() const { return scratch_ / "set"; }
  Scratch scratch_;
};

TEST_F(DataPackTest, EverySplitBecomesAFileAndEveryCommandReadsThem) {
  const std::string packed = scratch_ / "packed";
  const json made =
      results(run_invp("data pack --data " + set() + " --split all --to " + packed + " --json"));
  EXPECT_EQ(made["images"], 34);
  EXPECT_EQ(made["bad"].size(), 0u);
  EXPECT_EQ(made["files"], (json{packed + "/train.pack", packed + "/val.pack"}));

  const Outcome info = run_invp("data info --data " + packed + " --json");
  EXPECT_EQ(results(info)["format"], "pack");
  EXPECT_EQ(results(info)["classes"], 10);
  EXPECT_EQ(results(info)["splits"], (json{{"train", 24}, {"val", 10}}));
  EXPECT_THAT(info.out, HasSubstr("train: from imagefolder, sizes as they were"));
  EXPECT_EQ(results(run_invp("data check --data " + packed + " --json"))["images"], 34);
  const std::string sheet = scratch_ / "sheet.png";
  const std::string rows = " --rows 2 --views 2 --augment cifar --image-size 32";
  EXPECT_EQ(run_invp("data show --data " + packed + " --to " + sheet + rows).code, 0);
  const std::string of_files = scratch_ / "files.png";
  EXPECT_EQ(run_invp("data show --data " + set() + " --to " + of_files + rows).code, 0);
  EXPECT_EQ(read_all(sheet), read_all(of_files));

  const std::string run =
      " --arch resnet18-cifar --width 4 --augment cifar --epochs 1 "
      "--batch-size 8 --background 8 --dim 8 --json --out ";
  const Outcome of_pack = run_invp("pretrain --data " + packed + run + (scratch_ / "a"));
  const Outcome of_set = run_invp("pretrain --data " + set() + run + (scratch_ / "b"));
  EXPECT_EQ(results(of_pack)["loss"], results(of_set)["loss"]);
  EXPECT_EQ(results(of_pack)["knn_top1"], results(of_set)["knn_top1"]);
}

TEST_F(DataPackTest, TheSameSetMakesTheSameBytes) {
  for (const char* name : {"a.pack", "b.pack"}) {
    ASSERT_EQ(
        run_invp("data pack --data " + set() + " --shorter 30 --to " + (scratch_ / name)).code, 0);
  }
  EXPECT_EQ(read_all(scratch_ / "a.pack"), read_all(scratch_ / "b.pack"));
}

TEST_F(DataPackTest, SetsOfPixelsStayPixelsUnlessAskedOtherwise) {
  const std::string drawn = "data pack --format synthetic --synthetic-train 6 --to ";
  const std::string pixels = scratch_ / "pixels.pack";
  const std::string jpeg = scratch_ / "jpeg.pack";
  ASSERT_EQ(run_invp(drawn + pixels).code, 0);
  ASSERT_EQ(run_invp(drawn + jpeg + " --quality 95").code, 0);
  EXPECT_THAT(run_invp("data info --data " + pixels).out, HasSubstr("from synthetic, pixels"));
  EXPECT_THAT(run_invp("data info --data " + jpeg).out, HasSubstr("JPEG quality 95"));
  const Outcome both = run_invp(drawn + jpeg + " --quality 95 --raw");
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, HasSubstr("--raw stores pixels"));
}

TEST_F(DataPackTest, ADamagedImageIsFoundByCheck) {
  const std::string pack = scratch_ / "train.pack";
  ASSERT_EQ(run_invp("data pack --data " + set() + " --to " + pack).code, 0);
  std::string bytes = read_all(pack);
  bytes[500] ^= 1;
  scratch_.write("train.pack", bytes);
  const json checked = results(run_invp("data check --data " + pack + " --json"), 1);
  ASSERT_EQ(checked["bad"].size(), 1u);
  EXPECT_THAT(checked["bad"][0]["reason"].get<std::string>(), HasSubstr("its checksum"));
  scratch_.write("train.pack", bytes.substr(0, 3000));
  const Outcome cut = run_invp("data info --data " + pack);
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err, HasSubstr("at byte 3000"));
}

TEST_F(DataPackTest, BrokenImagesAreListed) {
  scratch_.write("set/train/broken.txt/x.jpg", "no picture");
  const std::string pack = scratch_ / "train.pack";
  const std::string command = "data pack --data " + set() + " --to " + pack + " --json";
  const Outcome refused = run_invp(command);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("--max-bad-share"));
  const json made = results(run_invp(command + " --max-bad-share 0.1"));
  EXPECT_EQ(made["images"], 24);
  EXPECT_THAT(made["bad"][0]["file"].get<std::string>(), HasSubstr("x.jpg"));
}

}  // namespace
}  // namespace invp
