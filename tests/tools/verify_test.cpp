// invp checkpoint verify as a person uses it: what is whole, what is not, and the exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/files/safetensors.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

class Verify : public ::testing::Test {
 protected:
  void SetUp() override {
    const Outcome outcome = run_invp(
        "pretrain --format synthetic --synthetic-train 32 --synthetic-val 8 --synthetic-size 16 "
        "--synthetic-classes 4 --image-size 16 --threads 1 --workers 1 --seed 3 --arch "
        "resnet18-cifar --width 2 --dim 8 --augment cifar --epochs 2 --batch-size 16 "
        "--background 16 --hard-positives 4 --knn-k 5 --save-every 1 --out " +
        run_);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
  }
  static Outcome verify(const std::string& what) {
    return run_invp("checkpoint verify --json " + what);
  }
  /// Replaces a file by another: two names may be of one.
  static void put(const std::string& file, const std::string& bytes) {
    fs::remove(file);
    std::ofstream(file, std::ios::binary) << bytes;
  }

  Scratch scratch_;
  std::string run_ = scratch_ / "run";
  std::string last_ = run_ + "/checkpoints/last.safetensors";
};

TEST_F(Verify, AWholeRunEndsWithZero) {
  const Outcome outcome = verify(run_);
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  const json results = json::parse(outcome.last_line());
  EXPECT_EQ(results["whole"], 5) << "last, best, two epochs, metrics";
  EXPECT_EQ(results["damaged"], 0);
  EXPECT_THAT(outcome.out, HasSubstr("a checkpoint of invp pretrain, epoch 3, step 0"));
}

TEST_F(Verify, DamageIsNamed) {
  const std::string whole = read_all(last_);
  std::string bytes = whole;
  bytes[bytes.size() - 3] ^= 4;
  put(last_, bytes);
  Outcome outcome = verify(run_);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("NOT WHOLE: " + last_), HasSubstr("its checksum"),
                                 HasSubstr("4 files whole, 1 not")));
  const json results = json::parse(outcome.last_line());
  EXPECT_EQ(results["damaged"], 1);
  put(last_, whole.substr(0, whole.size() / 2));
  EXPECT_EQ(verify(last_).code, 1);
  put(run_ + "/metrics.jsonl", "no metrics\n");
  outcome = verify(run_ + "/metrics.jsonl");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("metrics.jsonl:1"));
}

TEST_F(Verify, FilesWithoutChecksumsAreReadAndSaidToHaveNone) {
  const std::string old = golden_word("checkpoints/version-1-pretrain.safetensors");
  const Outcome outcome = verify(old);
  EXPECT_EQ(outcome.code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("without checksums"));
  // Its rows of neighbors must be images all the same.
  TensorFile file = read_safetensors(golden("checkpoints/version-1-pretrain.safetensors"));
  for (auto& [name, tensor] : file.tensors) {
    if (name == "neighbors") tensor.span<std::int32_t>()[1] = 1 << 30;
  }
  write_safetensors(scratch_ / "far.safetensors", file);
  const Outcome far = verify(scratch_ / "far.safetensors");
  EXPECT_EQ(far.code, 1);
  EXPECT_THAT(far.out, AllOf(HasSubstr("far.safetensors: "), HasSubstr("neighbor 1073741824")));
}

TEST_F(Verify, WhatIsNotThereIsAnError) {
  EXPECT_EQ(verify(scratch_ / "nowhere").code, 1);
  fs::create_directory(scratch_ / "empty");
  EXPECT_EQ(verify(scratch_ / "empty").code, 1);
  EXPECT_EQ(run_invp("checkpoint verify").code, 2);
}

}  // namespace
}  // namespace invp::testing
