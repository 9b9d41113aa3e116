// What commands take from the checkpoint that they evaluate, and what broken images cost them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "engine/files/safetensors.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr const char* kNetwork = " --arch resnet18 --width 2 --dim 8 --threads 1 --workers 1 ";

nlohmann::json results(const Outcome& outcome) {
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  return outcome.code == 0 ? nlohmann::json::parse(outcome.last_line()) : nlohmann::json();
}

/// A folder of 16 training and 8 validation images of 4 classes, and a network trained on them at
/// 40 pixels as the CIFAR settings normalize.
class Evaluation : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    ASSERT_EQ(run_invp("data synthesize " + *scratch_ / "data" +
                       " --train 16 --val 8 --classes 4 --size 40")
                  .code,
              0);
    const Outcome trained = run_invp("pretrain --data " + data() + kNetwork +
                                     "--augment cifar --image-size 40 --tau 0.2 --epochs 1 "
                                     "--warm-epochs 0 --batch-size 8 --background 8 "
                                     "--hard-positives 4 --out " +
                                     *scratch_ / "run");
    ASSERT_EQ(trained.code, 0) << trained.err;
  }
  static void TearDownTestSuite() { delete scratch_; }

  static std::string data() { return *scratch_ / "data"; }
  static std::string checkpoint() { return *scratch_ / "run/checkpoints/last.safetensors"; }
  static std::string of(const std::string& name) { return *scratch_ / name; }
  static std::string with_network(const std::string& command) {
    return command + " --checkpoint " + checkpoint() + " --threads 1 --workers 1 --json ";
  }
  /// A copy of the data, to be changed.
  static std::string copy(const std::string& name) {
    fs::remove_all(of(name));
    fs::copy(data(), of(name), fs::copy_options::recursive);
    return of(name);
  }
  /// Some image of a split of a copy.
  static fs::path first_image(const std::string& folder, const std::string& split) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(folder) / split)) {
      if (entry.is_regular_file()) return entry.path();
    }
    return {};
  }

  static Scratch* scratch_;
};
Scratch* Evaluation::scratch_ = nullptr;

TEST_F(Evaluation, ExtractShowsImagesAsTheRunDid) {
  const std::string extract = with_network("extract") + "--data " + data() + " --to ";
  const Outcome taken = run_invp(extract + of("taken.safetensors"));
  ASSERT_EQ(taken.code, 0) << taken.err;
  EXPECT_THAT(taken.err, HasSubstr("40 px, normalized as cifar, as its run had them"));
  const Outcome told = run_invp(extract + of("told.safetensors --image-size 40 --augment cifar"));
  EXPECT_THAT(told.err, HasSubstr("as told"));
  EXPECT_EQ(read_all(of("taken.safetensors")), read_all(of("told.safetensors")));
  const Outcome other = run_invp(extract + of("other.safetensors --augment imagenet"));
  EXPECT_THAT(other.err, HasSubstr("224 px of a shorter side of 256, normalized as imagenet"));
  EXPECT_NE(read_all(of("taken.safetensors")), read_all(of("other.safetensors")));
}

TEST_F(Evaluation, EveryCommandSaysWhatItShows) {
  const std::string from = with_network("") + "--data " + data();
  const std::string out = " --out " + of("says");
  for (const std::string& command :
       {"knn" + from, "tsne --perplexity 2 --iterations 5" + from + out + "-tsne",
        "linear --epochs 1 --taps 1 --milestones 1" + from + out + "-linear",
        "finetune --protocol transfer --epochs 1" + from + out + "-finetune"}) {
    const Outcome outcome = run_invp(command);
    EXPECT_EQ(outcome.code, 0) << command << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("40 px")) << command;
    EXPECT_THAT(outcome.err, HasSubstr("normalized as cifar")) << command;
  }
}

TEST_F(Evaluation, AnExportedNetworkRemembersItsRun) {
  const std::string exported = of("exported.safetensors");
  ASSERT_EQ(run_invp("convert " + checkpoint() + " --to " + exported).code, 0);
  const std::string images = " --threads 1 --data " + data();
  const Outcome taken = run_invp("extract --checkpoint " + exported + images + " --to " + of("e1"));
  EXPECT_THAT(taken.err, HasSubstr("40 px, normalized as cifar, as its run had them"));
  ASSERT_EQ(run_invp(with_network("extract") + images + " --to " + of("e2")).code, 0);
  EXPECT_EQ(read_all(of("e1")), read_all(of("e2")));
  EXPECT_THAT(run_invp("knn --k 3 --checkpoint " + exported + images).out, HasSubstr("3  0.2 "));
}

TEST_F(Evaluation, KnnTakesTheTemperatureOfTheRun) {
  const std::string knn = with_network("knn") + "--data " + data() + " --k 3";
  EXPECT_THAT(run_invp(knn).out, HasSubstr("3  0.2 "));
  EXPECT_THAT(run_invp(knn + " --tau 0.5").out, HasSubstr("3  0.5 "));
}

TEST_F(Evaluation, KnnUsesTheBankForItsOwnImagesAlone) {
  const std::string knn = with_network("knn") + "--k 3 --data ";
  EXPECT_THAT(run_invp(knn + data()).out, HasSubstr("16 rows of the bank"));
  // As many images, in another order.
  const std::string other = copy("other-order");
  for (const char* split : {"train", "val"}) {
    const fs::path folder = fs::path(other) / split;
    std::set<fs::path> classes;
    for (const auto& entry : fs::directory_iterator(folder)) classes.insert(entry.path());
    fs::rename(*classes.rbegin(), folder / "0-first");
  }
  const Outcome outcome = run_invp(knn + other);
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("16 features of the training split"));
  EXPECT_THAT(outcome.err, HasSubstr("its bank is of other images, or of another order"));
  const Outcome required = run_invp(knn + other + " --bank checkpoint");
  EXPECT_EQ(required.code, 1);
  EXPECT_THAT(required.err, HasSubstr("of other images"));
  EXPECT_THAT(run_invp(knn + data() + " --layer pool").err, HasSubstr("its bank holds outputs"));
}

TEST_F(Evaluation, ACheckpointWithoutItsBankIsRefused) {
  TensorFile file = read_safetensors(checkpoint());
  std::erase_if(file.tensors, [](const auto& item) { return item.first == "bank"; });
  write_safetensors(of("no-bank.safetensors"), file);
  const Outcome outcome = run_invp("knn --threads 1 --k 3 --data " + data() + " --checkpoint " +
                                   of("no-bank.safetensors"));
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("has no tensor \"bank\""));
}

TEST_F(Evaluation, KnnOfAFineTunedNetworkSaysThatItComparesClasses) {
  const std::string tuned = of("tuned");
  ASSERT_EQ(run_invp("finetune --protocol transfer --epochs 1 --batch-size 8 --checkpoint " +
                     checkpoint() + " --data " + data() + " --threads 1 --out " + tuned)
                .code,
            0);
  const std::string knn = "knn --threads 1 --k 3 --data " + data() + " --checkpoint " + tuned +
                          "/checkpoints/last.safetensors ";
  EXPECT_THAT(run_invp(knn).err, HasSubstr("layer head, the outputs of its classifier for 4"));
  EXPECT_THAT(run_invp(knn + "--layer pool").err, HasSubstr("layer pool"));
  EXPECT_THAT(run_invp(knn + "--layer pools").err, HasSubstr("--layer: no layer 'pools'"));
}

TEST_F(Evaluation, ABrokenImageCostsAnImage) {
  const std::string broken = copy("broken");
  for (const char* split : {"train", "val"})
    std::ofstream(first_image(broken, split), std::ios::trunc) << "no image";
  const std::string data = "--batch-size 8 --max-bad-share 0.5 --data " + broken;
  const std::string from = with_network("") + data + " ";
  const auto knn = results(run_invp("knn --k 3 --bank features" + from));
  EXPECT_EQ(knn.at("queries"), 7);
  EXPECT_EQ(knn.at("left_out"), 1);
  const auto features = results(run_invp("extract" + from + "--to " + of("some.safetensors")));
  EXPECT_EQ(features.at("images"), 15);
  EXPECT_EQ(features.at("left_out"), 1);
  const std::string out = "--out " + of("broken-");
  for (const std::string& command :
       {"tsne --perplexity 2 --iterations 5 --split val" + from + out + "tsne",
        "linear --epochs 1 --taps 1 --milestones 1" + from + out + "linear",
        "linear --epochs 1 --taps 1 --milestones 1 --augment none --cache-features" + from + out +
            "cached",
        "finetune --protocol transfer --epochs 1" + from + out + "finetune",
        "pretrain --epochs 1 --augment cifar --image-size 40 --background 8 --hard-positives 4 " +
            data + kNetwork + out + "pretrain"}) {
    const Outcome outcome = run_invp(command);
    EXPECT_EQ(outcome.code, 0) << command << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("1 of 8 ")) << command;
    EXPECT_THAT(outcome.err, HasSubstr("could not be read and is left out")) << command;
  }
  // Named beside the run, and counted in its checkpoint.
  EXPECT_EQ(std::ranges::count(read_all(of("broken-pretrain/skipped-images.tsv")), '\n'), 3);
  const auto saved =
      read_safetensors_header(of("broken-pretrain/checkpoints/last.safetensors")).metadata;
  EXPECT_EQ(saved.at("position.bad_images"), "0");
}

TEST_F(Evaluation, TooManyBrokenImagesAreRefusedWithTheWayOut) {
  const std::string broken = copy("too-broken");
  std::ofstream(first_image(broken, "val"), std::ios::trunc) << "no image";
  const Outcome knn = run_invp(with_network("knn") + "--bank features --data " + broken);
  EXPECT_EQ(knn.code, 1);
  EXPECT_THAT(knn.err, AllOf(HasSubstr("1 of 8 images are bad"), HasSubstr("--max-bad-share"),
                             HasSubstr("invp data check")));
  // The epoch that was trained is there, and judged once the images are repaired.
  const std::string train =
      "pretrain --epochs 1 --augment cifar --image-size 40 --batch-size 8 "
      "--background 8 --hard-positives 4 --json --data " +
      broken + kNetwork + "--out " + of("judged-later ");
  EXPECT_EQ(run_invp(train).code, 1);
  const Outcome resumed = run_invp(train + "--max-bad-share 0.2 --resume auto");
  EXPECT_EQ(results(resumed).at("epoch"), 1);
  EXPECT_THAT(resumed.err, HasSubstr("at epoch 1, step 2"));
}

}  // namespace
}  // namespace invp::testing
