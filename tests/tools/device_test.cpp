// --device: line one of a run, the same results on every device, and what is said where there is
// no GPU.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "engine/core/numerics.h"
#include "engine/devices/device_choice.h"
#include "engine/files/safetensors.h"
#include "engine/ops/image/decode_jpegs.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/environment.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kData =
    "--format synthetic --synthetic-train 32 --synthetic-val 16 --synthetic-size 16 --image-size "
    "16 "
    "--threads 1 --workers 1 --batch-size 16 ";
const std::string kTrain = std::string("pretrain ") + kData +
                           "--arch resnet18-cifar --width 4 --dim 8 --augment cifar --epochs 2 "
                           "--background 16 --hard-positives 4 --warm-epochs 1 --knn-k 5 --seed 3 "
                           "--deterministic ";

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

nlohmann::json results_of(const std::string& arguments) {
  const Outcome outcome = run_invp(arguments + " --json");
  EXPECT_EQ(outcome.code, 0) << arguments << ": " << outcome.err;
  return outcome.code == 0 ? nlohmann::json::parse(outcome.last_line()) : nlohmann::json();
}

class OnEachDevice : public ::testing::TestWithParam<Device> {
 protected:
  std::string option() const { return message(" --device ", GetParam(), ' '); }
  std::string operator/(std::string_view name) const { return scratch_ / name; }

  Scratch scratch_;
};
RUN_ON_EACH_DEVICE(OnEachDevice);

TEST_P(OnEachDevice, DecodesFilesOrSaysWhyNot) {
  ASSERT_EQ(run_invp("data synthesize " + (*this / "set") + " --train 12 --val 2 --size 24").code,
            0);
  const Outcome outcome =
      run_invp("bench loader --image-size 16 --batch-size 5 --repeats 1 --data " + (*this / "set") +
               option() + "--decode-on device --json");
  if (jpeg_obstacle(GetParam()).empty()) {
    EXPECT_EQ(outcome.code, 0) << outcome.err;
  } else {
    EXPECT_EQ(outcome.code, 2);
    EXPECT_THAT(outcome.err, HasSubstr("use --decode-on workers"));
  }
}

TEST_P(OnEachDevice, AnOperationGivesWhatItGivesOnTheCpu) {
  const auto random = [](std::uint64_t seed, const Shape& shape) {
    return tensor(random_values(seed, shape.numel()), shape);
  };
  write_safetensors(*this / "in",
                    TensorFile{.tensors = {{"input", random(1, {2, 4, 6, 5})},
                                           {"weight", random(2, {6, 4, 3, 3})},
                                           {"grad_output", random(3, {2, 6, 6, 5})}}});
  const std::string command = "op conv2d --attr padding=1 --in " + (*this / "in") + " --to ";
  results_of(command + (*this / "want") + " --device cpu");
  results_of(command + (*this / "out") + option());
  const TensorFile want = read_safetensors(*this / "want");
  const TensorFile out = read_safetensors(*this / "out");
  ASSERT_EQ(out.tensors.size(), 3u);
  for (const auto& [name, tensor] : want.tensors)
    expect_close(*out.find(name), values_of(tensor), 60);
}

TEST_P(OnEachDevice, TheObjectiveGivesWhatItGivesOnTheCpu) {
  const std::string command =
      "objective --background 40 --in " + golden_word("objective_paper.safetensors") + " --to ";
  results_of(command + (*this / "want") + " --device cpu");
  results_of(command + (*this / "out") + option());
  const TensorFile want = read_safetensors(*this / "want");
  const TensorFile out = read_safetensors(*this / "out");
  for (const char* name : {"loss", "loss_ins", "loss_inv", "grad_features", "new_bank"})
    expect_close(*out.find(name), values_of(*want.find(name)), 1000);
  expect_identical(*out.find("positives"), *want.find("positives"));
  expect_identical(*out.find("new_neighbors"), *want.find("new_neighbors"));
}

TEST_P(OnEachDevice, ARunIsTheSameTwiceStoppedOrNotAndItsFeaturesEverywhere) {
  const std::string out = *this / "run";
  const Outcome whole = run_invp(kTrain + "--out " + out + option());
  ASSERT_EQ(whole.code, 0) << whole.err;
  EXPECT_THAT(first_line(whole.err), StartsWith(message("device   ", GetParam(), ", fp32")));
  EXPECT_THAT(first_line(whole.err), HasSubstr(": asked for"));
  EXPECT_THAT(read_all(out + "/log.txt"), HasSubstr(first_line(whole.err)));
  const std::string checkpoint = out + "/checkpoints/last.safetensors";

  const std::string parts = *this / "parts";
  ASSERT_EQ(run_invp(kTrain + "--stop-after 3 --out " + parts + option()).code, 0);
  ASSERT_EQ(run_invp(kTrain + "--resume auto --out " + parts + option()).code, 0);
  EXPECT_TRUE(read_all(parts + "/checkpoints/last.safetensors") == read_all(checkpoint));

  const std::string use = std::string(kData) + "--checkpoint " + checkpoint;
  results_of("extract " + use + " --layer pool --device cpu --to " + (*this / "want"));
  results_of("extract " + use + " --layer pool --to " + (*this / "features") + option());
  const Tensor want = *read_safetensors(*this / "want").find("features");
  expect_close(*read_safetensors(*this / "features").find("features"), values_of(want), 4096);
  for (const char* bank : {"checkpoint", "features"}) {
    const std::string knn = "knn " + use + " --k 5 --bank " + bank;
    EXPECT_EQ(results_of(knn + option()).at("top1"), results_of(knn + " --device cpu").at("top1"));
  }
}

TEST_P(OnEachDevice, BenchmarksRun) {
  const std::string small = "--width 4 --batch-size 2 --image-size 16 --repeats 1 ";
  const std::string precision = multiplies_bf16(GetParam()) ? "--precision bf16 " : "";
  for (const std::string& command :
       {"bench step --warmups 0 --bank 64 --background 16 " + small,
        "bench infer --warmups 0 " + precision + small,
        std::string("bench detect --warmups 0 --repeats 1 --width 4 --size 64,96 --proposals 20"),
        std::string("bench detect --work infer --repeats 1 --width 4 --size 64,96"),
        "bench layer --arch resnet18-cifar " + precision + small,
        std::string("bench search --bank 64 --dim 8 --batch-size 2 --background 16 --repeats 1"),
        std::string("bench knn --bank 64 --dim 8 --queries 4 --k 5 --repeats 1")}) {
    const nlohmann::json results = results_of(command + option());
    ASSERT_TRUE(results.is_object()) << command;
    EXPECT_GT(results.at("ms").get<double>(), 0) << command;
    EXPECT_GT(results.at("peak_memory_bytes").get<double>(), 0) << command;
  }
}

TEST(Device, TheBenchmarkOfKernelsRuns) {
  const nlohmann::json results =
      results_of("bench kernels --batch-size 1 --repeats 1 --device cpu");
  EXPECT_GT(results.at("kernels").size(), 15u);
  EXPECT_GT(results.at("copy_gigabytes_per_second").get<double>(), 0);
}

TEST(Device, TheFirstLineSaysWhereAndWhy) {
  const Outcome automatic = run_invp("bench knn --bank 8 --dim 2 --queries 1 --k 1 --repeats 1");
  EXPECT_THAT(first_line(automatic.err), StartsWith("device   "));
  const DeviceChoice choice = choose_device("auto");
  EXPECT_THAT(first_line(automatic.err),
              AllOf(StartsWith(message("device   ", choice.device)), HasSubstr(choice.reason)));
  const Outcome tf32 = run_invp(
      "bench knn --bank 8 --dim 2 --queries 1 --k 1 --repeats 1 --device cpu --precision tf32");
  EXPECT_THAT(first_line(tf32.err), HasSubstr("cpu, fp32, as tf32 is on a CPU"));
}

/// `invp ARGUMENTS` where the environment has `variables`, NAME=VALUE.
Outcome run_with(const std::string& variables, const std::string& arguments) {
  return run_invp(arguments, "env " + variables + " timeout 60");
}

// oneDNN's kernels wait for threads that OpenMP was told not to start.
TEST(Threads, ThoseThatOpenMPWillNotStartAreNotWaitedFor) {
  const std::string step =
      "bench step --arch resnet18-cifar --width 16 --batch-size 8 --image-size 16 --bank 64 "
      "--background 16 --hard-positives 4 --repeats 1 --threads 4 --device cpu";
  for (const char* limit : {"OMP_THREAD_LIMIT=1", "OMP_THREAD_LIMIT=2", "OMP_DYNAMIC=true",
                            "OMP_MAX_ACTIVE_LEVELS=0"}) {
    const Outcome outcome = run_with(limit, step);
    EXPECT_EQ(outcome.code, 0) << limit << ": " << outcome.err;
  }
  EXPECT_THAT(run_with("OMP_THREAD_LIMIT=1", step).err, HasSubstr("1 thread (OMP_THREAD_LIMIT)"));
}

TEST(Threads, AreThoseOfTheEnvironmentUnlessToldOtherwise) {
  EXPECT_THAT(run_with("OMP_NUM_THREADS=3", "doctor --json").last_line(),
              HasSubstr("\"threads\":3,"));
  EXPECT_THAT(run_with("OMP_NUM_THREADS=3,2", "doctor --json --threads 5").last_line(),
              HasSubstr("\"threads\":5,"));
}

TEST(Device, OneThatIsNotThereEndsTheRunWithTheWayOut) {
  const Outcome outcome = run_invp(kTrain + "--out /nowhere --device cuda:7");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("invp pretrain: --device cuda:7: "));
  EXPECT_FALSE(std::filesystem::exists("/nowhere"));
}

TEST(Device, APrecisionItDoesNotHaveEndsTheRunWithTheWayOut) {
  const Variable without_avx512("ONEDNN_MAX_CPU_ISA", "AVX2");
  const Outcome outcome = run_invp(kTrain + "--out /nowhere --device cpu --precision bf16");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("invp pretrain: --precision bf16: "));
  EXPECT_FALSE(std::filesystem::exists("/nowhere"));
  EXPECT_THAT(results_of("doctor").at("missing"), Contains(HasSubstr("bf16 is for GPUs only")));
}

TEST(Doctor, ListsTheGpusOfThisMachine) {
  const nlohmann::json results = results_of("doctor");
  const CudaInfo cuda = cuda_info();
  EXPECT_EQ(results.at("cuda"), cuda.built);
  ASSERT_EQ(results.at("gpus").size(), cuda.gpus.size());
  for (std::size_t i = 0; i < cuda.gpus.size(); ++i)
    EXPECT_EQ(results.at("gpus")[i].at("name"), cuda.gpus[i].name);
}

}  // namespace
}  // namespace invp::testing
