// Files without checksums, as others and earlier versions write them: they are read with a line
// that says so, and a run does not go on from one that holds what no run writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/files/safetensors.h"
#include "tests/tools/devkit.h"
#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kNote = "invp.crc32c";
constexpr const char* kUnproven = "has no checksums, so that damage to it would not be seen";

const std::string kData =
    " --format synthetic --synthetic-train 32 --synthetic-val 8 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --threads 1 --workers 1 ";

/// With another name of the note, checksums are no checksums.
void write_unproven(const std::string& path, const TensorFile& file) {
  write_safetensors(path, file);
  std::string bytes = read_all(path);
  const std::size_t at = bytes.find(kNote);
  ASSERT_NE(at, std::string::npos);
  bytes[at] = 'I';
  std::ofstream(path, std::ios::binary) << bytes;
  ASSERT_FALSE(read_safetensors(path).has_checksums);
}

int times(const std::string& text, const std::string& part) {
  int count = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++count;
  return count;
}

class Unproven : public RunTest {
 protected:
  Unproven()
      : RunTest("pretrain" + kData +
                "--seed 3 --arch resnet18-cifar --width 2 --dim 8 --augment cifar --epochs 3 "
                "--batch-size 16 --background 16 --hard-positives 4 --knn-k 5") {}

  /// A checkpoint inside of the first epoch: one half of the bank's rows are as they were begun.
  TensorFile begun() const {
    const Outcome outcome = train("begun", "--stop-after 1");
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_safetensors(last("begun"));
  }
};

TEST_F(Unproven, IsSaidOnceByEveryCommandThatReadsOne) {
  const Outcome trained = train("run", "--epochs 1");
  ASSERT_EQ(trained.code, 0) << trained.err;
  const std::string file = out("w.safetensors");
  write_unproven(file, read_safetensors(last("run")));
  const std::string from = " --json --checkpoint " + file + kData;
  for (const std::string& command :
       {"extract --to " + out("f.safetensors") + from, "knn" + from, "knn --bank checkpoint" + from,
        "linear --epochs 1 --out " + out("linear") + from,
        "finetune --epochs 1 --batch-size 16 --out " + out("finetune") + from,
        "tsne --perplexity 2 --iterations 10 --split val --out " + out("map") + from,
        "convert --json " + file + " --to " + out("w.pth")}) {
    const Outcome outcome = run_invp(command);
    ASSERT_EQ(outcome.code, 0) << command << ": " << outcome.err;
    EXPECT_EQ(times(outcome.err, file + ": " + kUnproven), 1) << command << ": " << outcome.err;
    EXPECT_EQ(times(outcome.out, kUnproven), 0) << command;
    EXPECT_TRUE(nlohmann::json::parse(outcome.last_line()).is_object()) << command;
  }
  // What proves itself is read without a word: our own files, and the CRC-32s of a zip archive.
  for (const std::string& proven : {last("run"), out("w.pth"), out("f.safetensors")}) {
    const Outcome outcome = run_invp("convert --list " + proven);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(times(outcome.err, kUnproven), 0) << proven;
  }
  write_unproven(out("g.safetensors"), read_safetensors(out("f.safetensors")));
  const Outcome map = run_invp("tsne --perplexity 2 --iterations 10 --out " + out("map") +
                               " --features " + out("g.safetensors"));
  ASSERT_EQ(map.code, 0) << map.err;
  EXPECT_EQ(times(map.err, kUnproven), 1);
}

TEST_F(Unproven, IsSaidByDetection) {
  const Scratch scratch;
  write_devkit(scratch / "devkit", 4, 2);
  const std::string data = " --threads 1 --data " + (scratch / "devkit");
  const auto detector = [&](const std::string& name, const std::string& from) {
    return run_invp(
        "detect train --json --workers 1 --batch-size 2 --schedule-pictures 2 "
        "--iterations 1 --min-sizes 48 --max-size 64 --precise-bn 0 --test-split none "
        "--regions 8 --out " +
        out(name) + data + from);
  };
  const Outcome backbone = run_invp("pretrain" + kData +
                                    "--arch resnet50 --width 2 --dim 8 --epochs 1 --batch-size 8 "
                                    "--background 8 --hard-positives 2 --knn-k 5 --out " +
                                    out("backbone"));
  ASSERT_EQ(backbone.code, 0) << backbone.err;
  write_unproven(out("b.safetensors"), read_safetensors(last("backbone")));
  const Outcome trained = detector("run", " --checkpoint " + out("b.safetensors"));
  ASSERT_EQ(trained.code, 0) << trained.err;
  EXPECT_EQ(times(trained.err, kUnproven), 1) << trained.err;
  EXPECT_TRUE(nlohmann::json::parse(trained.last_line()).is_object());
  write_unproven(out("d.safetensors"), read_safetensors(last("run")));
  const Outcome judged = run_invp("detect eval --json --checkpoint " + out("d.safetensors") + data);
  ASSERT_EQ(judged.code, 0) << judged.err;
  EXPECT_EQ(times(judged.err, kUnproven), 1) << judged.err;
  EXPECT_TRUE(nlohmann::json::parse(judged.last_line()).is_object());
}

TEST_F(Unproven, ARunGoesOnFromOneThatIsWhole) {
  const TensorFile file = begun();
  write_unproven(out("whole.safetensors"), file);
  const Outcome on = train("on", "--resume " + out("whole.safetensors"));
  ASSERT_EQ(on.code, 0) << on.err;
  EXPECT_EQ(times(on.err, "it has no checksums"), 1) << on.err;
  const Outcome proven = train("begun", "--resume auto");
  ASSERT_EQ(proven.code, 0) << proven.err;
  EXPECT_TRUE(read_all(last("on")) == read_all(last("begun")));
}

TEST_F(Unproven, WhatNoRunWritesIsRefused) {
  const TensorFile file = begun();
  struct Damage {
    std::string tensor;  ///< the first whose name holds this
    std::function<void(Tensor&)> apply;
    std::string told;
  };
  const auto set = [](float value, std::int64_t at = 1) {
    return [=](Tensor& tensor) { tensor.data<float>()[at] = value; };
  };
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const std::vector<Damage> damages = {
      {"model.", set(std::nanf("")), "holds nan at 1"},
      {"model.", set(-kInfinite), "holds -inf at 1"},
      {"optimizer.", set(kInfinite), "holds inf at 1"},
      {"running_var", set(-1e-3F), "holds -0.001 at 1"},
      {"bank", set(std::nanf(""), 17), "holds nan at 17"},
      {"bank", set(3.0F, 17), "row 2 of the bank"},
      {"bank",
       [](Tensor& bank) {
         for (float& v : bank.span<float>()) v *= 1.1F;
       },
       "row 0 of the bank"},
      {"bank",
       [](Tensor& bank) {
         for (float& v : bank.span<float>()) v = 0;
       },
       "row 0 of the bank"},
      {"neighbors", [](Tensor& rows) { rows.data<std::int32_t>()[5] = 32; }, "neighbor 32"},
      {"neighbors", [](Tensor& rows) { rows.data<std::int32_t>()[5] = -2; }, "neighbor -2"}};
  for (const Damage& damage : damages) {
    TensorFile damaged = file;
    bool applied = false;
    for (auto& [name, tensor] : damaged.tensors) {
      if (applied || name.find(damage.tensor) == std::string::npos) continue;
      tensor = tensor.clone();
      damage.apply(tensor);
      applied = true;
    }
    ASSERT_TRUE(applied) << damage.tensor;
    write_unproven(out("damaged.safetensors"), damaged);
    const Outcome refused = train("refused", "--resume " + out("damaged.safetensors"));
    EXPECT_EQ(refused.code, 1) << damage.told;
    EXPECT_THAT(refused.err, AllOf(HasSubstr("damaged.safetensors"), HasSubstr(damage.told),
                                   HasSubstr("damaged")));
    EXPECT_FALSE(std::filesystem::exists(out("refused"))) << damage.told;
  }
}

}  // namespace
}  // namespace invp::testing
