// `invp linear` from outside: its tables and figures, killed, interrupted and resumed, VOC07, and
// what it refuses.
#include <gmock/gmock.h>

#include <csignal>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kData =
    " --format synthetic --synthetic-train 96 --synthetic-val 20 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 ";

/// A network that has seen the set for an epoch; made once.
const std::string& checkpoint() {
  static const Scratch scratch;
  static const std::string file = [] {
    const Outcome outcome =
        run_invp("pretrain" + std::string(kData) +
                 "--arch resnet18-cifar --width 4 --dim 16 --augment cifar --epochs 1 --knn-k 10 "
                 "--batch-size 16 --background 32 --hard-positives 4 --threads 1 --out " +
                 (scratch / "run"));
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return scratch / "run/checkpoints/last.safetensors";
  }();
  return file;
}

std::string trained_by(const std::string& options) {
  return "linear --checkpoint " + checkpoint() + " --threads 1 --workers 1 --json " + options;
}

// Six epochs of 6 steps.
class Linear : public RunTest {
 protected:
  Linear()
      : RunTest(trained_by(kData + std::string("--augment linear-cifar --epochs 6 --batch-size 16 "
                                               "--milestones 4 --lr 3 --save-steps 1"))) {}
};

TEST_F(Linear, KilledAndInterruptedItEndsInTheSameBytes) {
  const Outcome whole = train("whole");
  ASSERT_EQ(whole.code, 0) << whole.err;
  expect_interruptions_change_no_byte("whole");
  for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
    EXPECT_EQ(read_all(out("signal" + std::to_string(signal)) + "/layers.csv"),
              read_all(out("whole") + "/layers.csv"));
  }
}

TEST_F(Linear, JudgesEveryTapAndDrawsTheFigure) {
  const Outcome outcome = train("run");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json results = json::parse(outcome.last_line());
  ASSERT_EQ(results.at("taps").size(), 9U);
  double best = -1;
  for (const json& tap : results["taps"]) {
    best = std::max(best, tap.at("top1").get<double>());
    EXPECT_GE(tap.at("top5"), tap.at("top1"));
  }
  EXPECT_EQ(results.at("top1"), best);
  EXPECT_EQ(results["taps"][results.at("best_tap").get<std::size_t>() - 1].at("top1"), best);
  EXPECT_THAT(outcome.out, HasSubstr("layer4.1"));
  const std::string csv = read_all(out("run") + "/layers.csv");
  EXPECT_EQ(std::ranges::count(csv, '\n'), 10);
  EXPECT_THAT(read_all(results.at("picture").get<std::string>()), StartsWith("<svg"));
  EXPECT_THAT(read_all(out("run") + "/metrics.jsonl"), HasSubstr("\"top1\":"));
}

TEST_F(Linear, SomeTapsTrainAsTheyWouldAmongAll) {
  const Outcome all = train("all");
  const Outcome some = train("some", "--taps 9,2");
  ASSERT_EQ(some.code, 0) << some.err;
  const json taps = json::parse(some.last_line()).at("taps");
  ASSERT_EQ(taps.size(), 2U);
  const json of_all = json::parse(all.last_line()).at("taps");
  for (const json& tap : taps) EXPECT_EQ(tap, of_all[tap.at("tap").get<std::size_t>() - 1]);
}

TEST_F(Linear, CachedFeaturesGiveTheSameNetworks) {
  ASSERT_EQ(train("computed").code, 0);
  const Outcome cached = train("cached", "--cache-features");  // of the mirrored pictures too
  ASSERT_EQ(cached.code, 0) << cached.err;
  EXPECT_THAT(cached.err, HasSubstr("of both splits"));
  EXPECT_EQ(read_all(out("cached") + "/layers.csv"), read_all(out("computed") + "/layers.csv"));
}

TEST_F(Linear, ItsConfigIsReadBack) {
  expect_config_is_read_back();
}

// Brightness alone tells these classes apart, which the first blocks of any network show.
TEST(LinearFolders, LearnsWhatCanBeTold) {
  const Scratch folder;
  for (int i = 0; i < 64; ++i) {
    const bool bright = i % 2 == 1;
    std::string pixels = "P6\n16 16\n255\n";
    for (int p = 0; p < 16 * 16 * 3; ++p) {
      pixels += static_cast<char>((bright ? 170 : 20) + (p * 7 + i * 13) % 60);
    }
    folder.write(std::string(i < 48 ? "train/" : "val/") + (bright ? "bright/" : "dark/") +
                     std::to_string(i) + ".ppm",
                 pixels);
  }
  const Outcome outcome = run_invp(
      trained_by("--data " + std::string(folder / "") + " --image-size 16 --augment linear-cifar " +
                 "--epochs 4 --batch-size 16 --lr 0.3 --out " + (folder / "out")));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json results = json::parse(outcome.last_line());
  EXPECT_EQ(results.at("top1"), 100);
  EXPECT_EQ(results["taps"][0].at("top1"), 100);
}

TEST_F(Linear, SaysWhatIsMissingOrDoesNotFit) {
  const Outcome nothing = run_invp("linear --format synthetic");
  EXPECT_EQ(nothing.code, 2);
  EXPECT_THAT(nothing.err, HasSubstr("--checkpoint FILE is missing"));
  const auto complaint = [&](const std::string& more, int code) {
    const Outcome outcome = train("refused", more);
    EXPECT_EQ(outcome.code, code) << more;
    return outcome.err;
  };
  EXPECT_THAT(complaint("--taps 10", 2), HasSubstr("has taps 1, the stem, to 9"));
  EXPECT_THAT(complaint("--train-network", 2), HasSubstr("--taps last --pooling global"));
  EXPECT_THAT(complaint("--views ten-random", 2), HasSubstr("voc07"));
  ASSERT_EQ(train("used", "--stop-after 1").code, 0);
  EXPECT_THAT(train("used", "--stop-after 1").err, HasSubstr("--resume auto"));
  const Outcome other = train("used", "--lr 0.2 --resume auto");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("learning"));
}

/// A devkit whose picture p shows the classes p and p + 7, of 20, and, hard to see, p + 3.
class Devkit {
 public:
  Devkit() {
    write_split("trainval", 0, 40);
    write_split("test", 40, 20);
  }
  std::string path() const { return folder_ / "VOCdevkit"; }

 private:
  void write_split(const std::string& split, int first, int pictures) const {
    const std::string sets = "VOCdevkit/VOC2007/ImageSets/Main/";
    std::string all;
    for (int p = first; p < first + pictures; ++p) all += id(p) + "\n";
    folder_.write(sets + split + ".txt", all);
    for (int c = 0; c < 20; ++c) {
      std::string text;
      for (int p = first; p < first + pictures; ++p) {
        const int offset = (c - p % 20 + 20) % 20;
        text += id(p) + (offset == 0 || offset == 7 ? "  1" : offset == 3 ? "  0" : " -1") + "\n";
      }
      folder_.write(sets + "class" + std::to_string(10 + c) + "_" + split + ".txt", text);
    }
    for (int p = first; p < first + pictures; ++p) {
      std::string pixels = "P6\n24 24\n255\n";
      for (int i = 0; i < 24 * 24 * 3; ++i) pixels += static_cast<char>((p % 20 * 12 + i) % 256);
      folder_.write("VOCdevkit/VOC2007/JPEGImages/" + id(p) + ".jpg", pixels);
    }
  }
  static std::string id(int picture) { return std::to_string(100000 + picture); }

  Scratch folder_;
};

TEST(LinearVoc, GivesThreeMeanAveragePrecisionsFromFilesAndPacks) {
  const Devkit kit;
  const Scratch scratch;
  const auto train = [&](const std::string& data, const std::string& out) {
    return run_invp(trained_by("--data " + data + " --image-size 32 --pooling global --epochs 2 " +
                               "--batch-size 16 --lr 0.1 --out " + out));
  };
  const Outcome outcome = train(kit.path(), scratch / "voc");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json results = json::parse(outcome.last_line());
  for (const char* key : {"map", "map_envelope", "map_11point"}) {
    EXPECT_GT(results.at(key), 5) << key;
    EXPECT_LE(results.at(key), 100) << key;
  }
  EXPECT_EQ(results["taps"].size(), 9U);
  const std::string classes = read_all(scratch / "voc/classes.csv");
  EXPECT_THAT(classes, HasSubstr("class29"));
  // A pack of its pixels is the same set.
  ASSERT_EQ(
      run_invp("data pack --raw --split all --data " + kit.path() + " --to " + (scratch / "kit"))
          .code,
      0);
  const Outcome packed = train(scratch / "kit", scratch / "packed");
  ASSERT_EQ(packed.code, 0) << packed.err;
  EXPECT_EQ(json::parse(packed.last_line()).at("taps"), results["taps"]);
  EXPECT_EQ(read_all(scratch / "packed/classes.csv"), classes);
}

}  // namespace
}  // namespace invp::testing
