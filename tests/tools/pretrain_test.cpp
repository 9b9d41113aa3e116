// What `invp pretrain` must survive: kill -9 at any moment, signals, a full disk, damaged
// checkpoints, a loss that is not finite.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <random>
#include <string>
#include <system_error>
#include <thread>

#include "engine/core/random.h"
#include "tests/support/devices.h"
#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// 8 epochs of 8 steps of 16 images, with both losses at work from the second epoch on: some
// seconds.
constexpr const char* kRun =
    "pretrain --format synthetic --synthetic-train 128 --synthetic-val 32 --synthetic-size 16 "
    "--image-size 16 "
    "--arch resnet18-cifar --width 4 --dim 16 --augment cifar --epochs 8 --batch-size 16 "
    "--background 64 "
    "--hard-positives 8 --warm-epochs 1 --knn-k 10 --save-steps 1 --seed 3 --threads 1 --workers "
    "2 ";

class Pretrain : public RunTest {
 protected:
  Pretrain() : RunTest(kRun) {}
};

TEST_F(Pretrain, KilledAtAnyMomentItEndsInTheSameBytes) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string expected = read_all(last("whole"));
  Random random(std::random_device{}(), Purpose::kBenchmark);
  int killed = 0;
  for (int attempt = 0; attempt < 6; ++attempt) {
    // Every other kill falls at any moment of the start, the rest among steps and checkpoints.
    const bool after_checkpoint = attempt % 2 == 0;
    const std::chrono::milliseconds more_time(random.integer(0, after_checkpoint ? 40 : 100));
    const int code = interrupted("killed", "--resume auto", SIGKILL, after_checkpoint, more_time);
    ASSERT_TRUE(code == 128 + SIGKILL || code == 0) << code;
    killed += code != 0;
  }
  EXPECT_GE(killed, 3);
  const Outcome end = train("killed", "--resume auto");
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_TRUE(read_all(last("killed")) == expected) << "the resumed run ended in other bytes";
}

TEST_F(Pretrain, KilledOnAGpuItEndsInTheSameBytes) {
  if (available_devices().size() == 1) GTEST_SKIP() << "no GPU, not even an emulated one";
  // Three steps of each kind: an emulated GPU is slow.
  const std::string gpu =
      "--device cuda --deterministic --epochs 2 --synthetic-train 48 --background 24 ";
  ASSERT_EQ(train("whole", gpu).code, 0);
  const int code = interrupted("killed", gpu, SIGKILL, true, std::chrono::milliseconds(200));
  EXPECT_EQ(code, 128 + SIGKILL);
  const Outcome end = train("killed", gpu + "--resume auto");
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_TRUE(read_all(last("killed")) == read_all(last("whole")))
      << "the resumed run ended in other bytes";
}

TEST_F(Pretrain, SignalsWriteACheckpointAndGiveTheirCode) {
  ASSERT_EQ(train("whole").code, 0);
  const std::string expected = read_all(last("whole"));
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string name = "signal" + std::to_string(signal);
    ASSERT_EQ(interrupted(name, "", signal, true, std::chrono::milliseconds(0)), 128 + signal);
    ASSERT_TRUE(fs::exists(last(name)));
    const Outcome end = train(name, "--resume auto");
    ASSERT_EQ(end.code, 0) << end.err;
    EXPECT_TRUE(read_all(last(name)) == expected);
  }
}

TEST_F(Pretrain, AFullDiskKeepsTheLastGoodCheckpoint) {
  ASSERT_EQ(train("full", "--stop-after 5").code, 0);
  const std::string before = read_all(last("full"));
  // Files may grow to half a checkpoint from here on; SIGXFSZ ignored, writing fails as on a full
  // disk.
  const std::string blocks = std::to_string(before.size() / 2 / 512);
  const std::string command = "trap '' XFSZ; ulimit -f " + blocks + "; exec " + program() + " " +
                              kRun + "--out " + out("full") + " --resume auto >" + out("log") +
                              " 2>&1";
  const int status = std::system(("sh -c \"" + command + "\"").c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1) << read_all(out("log"));
  EXPECT_THAT(read_all(out("log")), HasSubstr("last.safetensors"));
  EXPECT_TRUE(read_all(last("full")) == before);
  EXPECT_EQ(train("full", "--resume auto").code, 0);
}

TEST_F(Pretrain, ACheckpointCutShortIsNamedAndOneOfAnotherNetworkRefused) {
  ASSERT_EQ(train("cut", "--stop-after 5").code, 0);
  fs::copy_file(last("cut"), out("half.safetensors"));
  fs::resize_file(out("half.safetensors"), fs::file_size(last("cut")) / 2);
  const Outcome cut = train("other", "--resume " + out("half.safetensors"));
  EXPECT_EQ(cut.code, 1);
  EXPECT_THAT(cut.err, HasSubstr("half.safetensors"));

  const Outcome wider = train("other", "--width 8 --resume " + last("cut"));
  EXPECT_EQ(wider.code, 1);
  EXPECT_THAT(wider.err, HasSubstr("width"));
}

TEST_F(Pretrain, ALossThatIsNotFiniteStopsTheRunAndKeepsTheCheckpoint) {
  const std::string diverging = "--lr 1000 --weight-decay 1000 ";
  const Outcome outcome = train("nan", diverging);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("not finite"));
  EXPECT_THAT(outcome.err, HasSubstr("--lr"));
  // The step that failed left nothing behind: what was saved before is whole, and leads to the same
  // end.
  const std::string before = read_all(last("nan"));
  ASSERT_FALSE(before.empty());
  const Outcome again = train("nan", diverging + "--resume auto");
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("not finite"));
  EXPECT_TRUE(read_all(last("nan")) == before);
}

TEST_F(Pretrain, AFolderInUseIsNotOverwritten) {
  ASSERT_EQ(train("used", "--stop-after 2").code, 0);
  const std::string before = read_all(last("used"));
  const Outcome again = train("used", "--stop-after 2");
  EXPECT_EQ(again.code, 1);
  EXPECT_THAT(again.err, HasSubstr("--resume auto"));
  EXPECT_TRUE(read_all(last("used")) == before);
}

}  // namespace
}  // namespace invp::testing
