// invp plan against published figures, against the table it was designed by, and at its edges.
#include "invp/plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "layers/resnet.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::HasSubstr;

const GpuKind& kind(std::string_view name) {
  return *std::ranges::find(gpu_kinds(), name, &GpuKind::name);
}

/// ResNet-50 with the MLP head: 28 million parameters.
PlanSettings resnet50(std::int64_t images, std::int64_t gpus, std::int64_t batch) {
  PlanSettings settings{.images = images, .gpus = gpus, .batch_size = batch};
  settings.network.head = HeadKind::kMlp;
  return settings;
}

/// |got / want - 1| in per cent.
double off_by(double got, double want) {
  return 100 * std::abs(got / want - 1);
}

// --- against published figures -------------------------------------------------------------------

/// A step of MLPerf's ResNet-50: no objective.
double mlperf_ms(const GpuKind& gpu, std::int64_t gpus, double images) {
  const NetworkSize network =
      size_of(NetworkConfig{.arch = Arch::kResNet50, .head = HeadKind::kMlp}, 224);
  return network_ms(gpu, network, images, 1) +
         all_reduce_ms(gpu, 4.0 * static_cast<double>(network.parameters), gpus);
}

TEST(PlanAgainst, MlperfOnOneNodeOfH100) {
  EXPECT_LT(off_by(1000 * 400 / mlperf_ms(kind("h100"), 8, 400), 7007), 2);
}

TEST(PlanAgainst, MlperfOnEightAndSixtyFourNodesOfH100) {
  EXPECT_LT(off_by(mlperf_ms(kind("h100"), 64, 50), 10.86), 2);
  // With the evaluations of its blocks in it.
  EXPECT_LT(off_by(mlperf_ms(kind("h100"), 512, 40), 9.9), 4);
}

TEST(PlanAgainst, MlperfOnOneNodeOfA100) {
  EXPECT_LT(off_by(8 * 408 * 1000 / mlperf_ms(kind("a100"), 8, 408), 27198), 2);
}

TEST(PlanAgainst, BusBandwidthOfNcclTests) {
  const auto bus = [](const char* gpu, std::int64_t gpus) {
    const double bytes = 8e9;
    const auto count = static_cast<double>(gpus);
    return bytes / all_reduce_ms(kind(gpu), bytes, gpus) * 2 * (count - 1) / count / 1e6;  // GB/s
  };
  EXPECT_LT(off_by(bus("h100", 8), 480), 2);  // nccl 1374
  EXPECT_LT(off_by(bus("a100", 8), 230), 2);  // nccl-tests 149
  EXPECT_GT(bus("h100", 64), 0.9 * 400);      // nccl 2409: 400 to 470, of more than a port has
  EXPECT_LT(bus("h100", 64), 400);
  EXPECT_LT(off_by(bus("a100", 64), 192), 3);  // nccl 1576
}

// The V100 of the paper has 125 TFLOP/s in half precision, an A100 312. Crops of 224 and 96 pixels.
TEST(PlanAgainst, SwavIsWithinTheOrderOfMagnitude) {
  PlanSettings settings = resnet50(1'281'167, 64, 4096);
  settings.gpu = kind("a100");
  const double crops = 2 + 6 * (96.0 * 96) / (224.0 * 224);
  const double seconds = plan_run(settings).epoch_seconds * crops * 312 / 125;
  EXPECT_GT(220 / seconds, 1.0 / 10);
  EXPECT_LT(220 / seconds, 10);
}

TEST(PlanAgainst, CountsOfPublishedNetworks) {
  const auto of = [](Arch arch) {
    return size_of(NetworkConfig{.arch = arch, .head = HeadKind::kLinear, .dim = 1000}, 224);
  };
  EXPECT_EQ(of(Arch::kResNet50).parameters, 25'557'032);  // torchvision's documentation
  EXPECT_EQ(of(Arch::kResNet34).parameters, 21'797'672);
  EXPECT_EQ(of(Arch::kResNet18).parameters, 11'689'512);
  EXPECT_LT(off_by(of(Arch::kResNet50).forward_flops / 2, 4.09e9), 0.5);
  EXPECT_LT(off_by(of(Arch::kResNet34).forward_flops / 2, 3.66e9), 0.5);
  EXPECT_LT(off_by(of(Arch::kResNet18).forward_flops / 2, 1.81e9), 0.5);
  EXPECT_EQ(of(Arch::kResNet50).convolutions, 53);
}

// --- against the engine --------------------------------------------------------------------------

/// Bytes per image that a forward pass in f32 keeps: the difference of three images and one.
double kept_bytes(const NetworkConfig& config, std::int64_t side) {
  ResNet network(config);
  const auto live_after = [&](std::int64_t count) {
    const Tensor images = Tensor::zeros({count, side, side, 3});
    const Tensor out = network.forward(images);
    return memory_stats(Device{}).live;
  };
  live_after(1);
  const std::int64_t one = live_after(1);
  return static_cast<double>(live_after(3) - one) / 2;
}

TEST(PlanAgainst, WhatTheEngineKeeps) {
  for (const auto& [name, arch] : all_archs()) {
    const NetworkConfig config{.arch = arch, .width = 8};
    const std::int64_t side = is_cifar(arch) ? 16 : 64;
    EXPECT_LT(off_by(4 * size_of(config, side).kept_elements, kept_bytes(config, side)), 5) << name;
  }
}

TEST(PlanAgainst, ParametersOfTheEngine) {
  for (const auto& [name, arch] : all_archs()) {
    const NetworkConfig config{.arch = arch, .width = 4, .head = HeadKind::kMlp, .dim = 12};
    std::int64_t count = 0;
    const ResNet network(config);
    for (const auto& parameter : network.parameters()) count += parameter.tensor.numel();
    EXPECT_EQ(size_of(config, 32).parameters, count) << name;
  }
}

// --- the table it was designed by ----------------------------------------------------------------

struct Row {
  std::int64_t images, gpus, batch;
  double total, network, reduce, search;  ///< ms; 0: the row does not say
  double rate, seconds;
};

class PlanTable : public ::testing::TestWithParam<Row> {};

TEST_P(PlanTable, HasTheRow) {
  const Row& row = GetParam();
  const Plan plan = plan_run(resnet50(row.images, row.gpus, row.batch));
  const double rounding = 0.06;
  EXPECT_LT(off_by(plan.step_ms.total(), row.total), 1.5);
  if (row.network > 0) {
    EXPECT_NEAR(plan.step_ms.network, row.network, rounding);
    EXPECT_NEAR(plan.step_ms.all_reduce, row.reduce, rounding);
    EXPECT_LT(std::abs(plan.step_ms.search - row.search), 0.01 * row.search + rounding);
  }
  EXPECT_LT(off_by(plan.images_per_second, row.rate), 2);
  EXPECT_LT(off_by(plan.epoch_seconds, row.seconds), 2.5);
}

constexpr std::int64_t kMillion = 1'000'000;
INSTANTIATE_TEST_SUITE_P(
    Ranks, PlanTable,
    ::testing::Values(Row{1'280'000, 1, 128, 21.0, 20.5, 0, 0.5, 6.1e3, 3.5 * 60},
                      Row{1'280'000, 8, 128, 6.4, 5.6, 0.4, 0.25, 20e3, 64},
                      Row{1'280'000, 8, 1024, 21.5, 20.5, 0.4, 0.5, 48e3, 27},
                      Row{1'280'000, 64, 8192, 21.8, 0, 0, 0, 376e3, 3.4},
                      Row{14 * kMillion, 64, 8192, 23.9, 20.5, 0.7, 2.6, 342e3, 41},
                      Row{100 * kMillion, 64, 8192, 32.6, 20.5, 0.7, 11.2, 252e3, 6.6 * 60},
                      Row{100 * kMillion, 1024, 8192, 7.7, 4.6, 0.9, 2.2, 1.06e6, 94},
                      Row{1000 * kMillion, 64, 8192, 131, 20.5, 0.7, 109, 63e3, 4.4 * 3600},
                      Row{1000 * kMillion, 1024, 8192, 26.9, 4.6, 0.9, 21, 305e3, 55 * 60}));

TEST(PlanTable, HasTheBytesAndTheLimits) {
  const Plan small = plan_run(resnet50(1'280'000, 8, 1024));
  EXPECT_NEAR(small.memory.bank / 1e9, 0.66, 0.01);
  EXPECT_NEAR(small.memory.graph / 1e9, 0.02, 0.005);
  EXPECT_EQ(small.limit, "network");
  const Plan parted = plan_run(resnet50(100 * kMillion, 64, 8192));
  EXPECT_EQ(parted.shards, 8);
  EXPECT_NEAR(parted.memory.bank / 1e9, 6.4, 0.05);
  EXPECT_NEAR(parted.memory.graph / 1e9, 1.6, 0.05);
  const Plan large = plan_run(resnet50(1000 * kMillion, 64, 8192));
  EXPECT_NEAR(large.memory.bank / 1e9, 64, 0.1);
  EXPECT_NEAR(large.memory.graph / 1e9, 16, 0.1);
  EXPECT_EQ(large.limit, "memory");
  PlanSettings h200 = resnet50(1000 * kMillion, 64, 8192);
  h200.gpu = kind("h200");
  EXPECT_EQ(plan_run(h200).limit, "search");
}

TEST(PlanTable, HasTheExchangeOfNorms) {
  const auto norms = [](std::int64_t gpus) {
    PlanSettings settings = resnet50(1'280'000, gpus, 8192);
    settings.bn_groups = 1;
    return plan_run(settings).step_ms.norms;
  };
  EXPECT_EQ(norms(1), 0);
  EXPECT_LT(off_by(norms(8), 1.4), 2);
  EXPECT_LT(off_by(norms(64), 4.8), 3);
  EXPECT_LT(off_by(norms(1024), 9.0), 3);
}

TEST(PlanTable, LoaderNeedsFiftyCoresPerGpu) {
  const Plan plan = plan_run(resnet50(1'280'000, 1, 400));
  EXPECT_LT(off_by(plan.loader_cores, 50), 3);
}

// --- how it goes with its settings ---------------------------------------------------------------

TEST(Plan, MoreGpusLengthenAnEpochOnlyByWhatTheyExchange) {
  for (const std::int64_t images : {1'280'000L, 100'000'000L}) {
    Plan before = plan_run(resnet50(images, 1, 8192));
    for (std::int64_t gpus = 2; gpus <= 8192; gpus *= 2) {
      const Plan plan = plan_run(resnet50(images, gpus, 8192));
      const StepTime& step = plan.step_ms;
      EXPECT_LE(step.network, before.step_ms.network) << gpus;
      EXPECT_LE(step.search, before.step_ms.search) << gpus;
      EXPECT_GE(step.all_reduce, before.step_ms.all_reduce) << gpus;
      const double exchanged = step.all_reduce + step.updates + step.exchange -
                               before.step_ms.all_reduce - before.step_ms.updates -
                               before.step_ms.exchange;
      EXPECT_LE(step.total(), before.step_ms.total() + exchanged) << gpus;
      before = plan;
    }
  }
}

TEST(Plan, WithFullGpusAnEpochShortensToTheLast) {
  double before = 1e9;
  for (std::int64_t gpus = 1; gpus <= 1024; gpus *= 2) {
    const double seconds = plan_run(resnet50(100 * kMillion, gpus, 128 * gpus)).epoch_seconds;
    EXPECT_LT(seconds, before) << gpus;
    before = seconds;
  }
}

TEST(Plan, ShardsSaveMemoryAndReadingButNoArithmetic) {
  PlanSettings settings = resnet50(10 * kMillion, 8, 8);
  settings.bank = BankPlace::kReplicated;
  const Plan whole = plan_run(settings);
  settings.bank = BankPlace::kSharded;
  const Plan parted = plan_run(settings);
  EXPECT_NEAR(parted.memory.bank, whole.memory.bank / 8, 1);
  EXPECT_LT(parted.step_ms.search, 0.2 * whole.step_ms.search);
  EXPECT_GT(parted.step_ms.exchange, 0);
  settings.batch_size = 8192;
  const double full = plan_run(settings).step_ms.search;
  settings.bank = BankPlace::kReplicated;
  EXPECT_EQ(plan_run(settings).step_ms.search, full);
}

TEST(Plan, HalfTheBytesOnTheWireHalveTheSum) {
  PlanSettings settings = resnet50(1'280'000, 8, 1024);
  const double f32 = plan_run(settings).step_ms.all_reduce;
  settings.wire_bytes = 2;
  EXPECT_LT(off_by(plan_run(settings).step_ms.all_reduce - 0.025, (f32 - 0.025) / 2), 0.1);
}

TEST(Plan, GroupsOnOneGpuAreComputedOneAfterTheOther) {
  PlanSettings settings = resnet50(1'280'000, 1, 128);
  const double one = plan_run(settings).step_ms.network;
  settings.bn_groups = 4;
  EXPECT_NEAR(plan_run(settings).step_ms.network, one + 3 * 3.5, 1e-9);
}

TEST(Plan, ASlowLoaderLimits) {
  PlanSettings settings = resnet50(1'280'000, 8, 1024);
  settings.cores_per_gpu = 14;
  const Plan plan = plan_run(settings);
  EXPECT_EQ(plan.limit, "loader");
  EXPECT_LT(off_by(plan.images_per_second, 8 * 14 * kLoaderRate), 0.1);
  settings.cores_per_gpu = 100;
  EXPECT_EQ(plan_run(settings).step_ms.data_wait, 0);
}

// --- where things break --------------------------------------------------------------------------

const Break& named(const Plan& plan, std::string_view what) {
  const auto found = std::ranges::find(plan.breaks, what, &Break::what);
  EXPECT_NE(found, plan.breaks.end()) << what;
  return *found;
}

TEST(PlanBreaks, ArePassedJustAboveTheirSize) {
  for (const char* what : {"search", "memory of a GPU", "order of an epoch",
                           "checkpoint in one file", "numbers of images", "bank on every GPU"}) {
    const auto images =
        static_cast<std::int64_t>(named(plan_run(resnet50(1'280'000, 64, 8192)), what).at);
    EXPECT_FALSE(named(plan_run(resnet50(images, 64, 8192)), what).passed()) << what;
    PlanSettings more = resnet50(images + images / 1000, 64, 8192);
    if (images < 30 * kMillion) more.bank = BankPlace::kReplicated;
    EXPECT_TRUE(named(plan_run(more), what).passed()) << what;
  }
  // --bank auto parts it, so nothing breaks there.
  for (const Break& one : plan_run(resnet50(100 * kMillion, 64, 8192)).breaks)
    EXPECT_NE(one.what, "bank on every GPU");
}

TEST(PlanBreaks, MemoryIsFullWhereTheySay) {
  for (const BankPlace bank : {BankPlace::kAuto, BankPlace::kReplicated}) {
    PlanSettings settings = resnet50(1'280'000, 64, 8192);
    settings.bank = bank;
    settings.images = static_cast<std::int64_t>(named(plan_run(settings), "memory of a GPU").at);
    EXPECT_LT(off_by(plan_run(settings).memory.total(), 80e9), 0.01);
  }
}

TEST(PlanBreaks, SearchMeetsTheNetworkWhereTheyTakeAsLong) {
  const Plan plan = plan_run(resnet50(14 * kMillion, 64, 8192));
  const double at = named(plan, "search").at;
  // 256 n / 3e11 = 3.5 / 128 + 0.133, the fixed cost of a step shared by 128 images.
  EXPECT_LT(off_by(at, 1.86e8), 2);
  const Plan there = plan_run(resnet50(static_cast<std::int64_t>(at), 64, 8192));
  EXPECT_LT(off_by(there.step_ms.search, there.step_ms.network), 2);
}

TEST(PlanBreaks, ThePassedComeFirstThenTheNearest) {
  const Plan plan = plan_run(resnet50(100 * kMillion, 1024, 8192));
  EXPECT_TRUE(plan.breaks.front().passed());
  bool passed = true;
  double before = 0;
  for (const Break& one : plan.breaks) {
    EXPECT_TRUE(passed || !one.passed()) << one.what;
    if (passed && !one.passed()) before = 0;
    passed = one.passed();
    if (passed) continue;
    EXPECT_GE(one.at / one.now, before) << one.what;
    before = one.at / one.now;
  }
  EXPECT_FALSE(passed);
  EXPECT_TRUE(named(plan, "images per GPU").passed());
  EXPECT_TRUE(named(plan, "batch of similar methods").passed());
  EXPECT_FALSE(named(plan, "batch norm over GPUs").passed());
  PlanSettings joined = resnet50(100 * kMillion, 1024, 8192);
  joined.bn_groups = 64;
  EXPECT_TRUE(named(plan_run(joined), "batch norm over GPUs").passed());
}

// --- edges ---------------------------------------------------------------------------------------

TEST(PlanEdges, OneImage) {
  const Plan plan = plan_run(resnet50(1, 1, 128));
  EXPECT_EQ(plan.batch, 1);
  EXPECT_NEAR(plan.epoch_seconds, plan.step_ms.total() / 1000, 1e-12);
  EXPECT_EQ(plan_run(resnet50(1, 8, 128)).images_per_gpu, 1);
}

TEST(PlanEdges, AShortLastBatchTakesLessThanAWholeOne) {
  const double whole = plan_run(resnet50(1024, 8, 1024)).epoch_seconds;
  const double more = plan_run(resnet50(1025, 8, 1024)).epoch_seconds;
  EXPECT_GT(more, whole + 0.003);  // the fixed cost
  EXPECT_LT(more, 1.4 * whole);
}

TEST(PlanEdges, FaultsSayTheWayOut) {
  EXPECT_THAT(plan_fault(resnet50(100, 16, 8)),
              HasSubstr("--gpus 16 is more than --batch-size 8: every GPU needs an image; use at "
                        "most 8 GPUs or a batch of 16"));
  PlanSettings settings = resnet50(100, 8, 64);
  settings.bn_groups = 3;
  EXPECT_THAT(plan_fault(settings), HasSubstr("use --bn-groups 8, one per GPU"));
  EXPECT_THROW(plan_run(settings), Error);
  settings.bn_groups = 128;
  EXPECT_THAT(plan_fault(settings), HasSubstr("every group needs an image"));
  for (const std::int64_t groups : {1, 2, 4, 8, 16, 64}) {
    settings.bn_groups = groups;
    EXPECT_EQ(plan_fault(settings), "");
  }
}

TEST(PlanEdges, EveryFigureIsFiniteWhateverTheSize) {
  for (const std::int64_t images : {1L, 1000L, 1'000'000'000'000L}) {
    for (const std::int64_t gpus : {1L, 7L, 9L, 1'000'000L}) {
      for (const auto& gpu : gpu_kinds()) {
        PlanSettings settings = resnet50(images, gpus, 1'000'000);
        settings.gpu = gpu;
        const Plan plan = plan_run(settings);
        EXPECT_TRUE(std::isfinite(plan.epoch_seconds) && plan.epoch_seconds > 0);
        EXPECT_TRUE(std::isfinite(plan.memory.total()));
        for (const Break& one : plan.breaks)
          EXPECT_TRUE(std::isfinite(one.at) && one.now > 0) << one.what;
      }
    }
  }
}

// --- the picture ---------------------------------------------------------------------------------

TEST(PlanPicture, HasALinePerDataSetAndSaysWhatDoesNotFit) {
  const std::string svg = plan_picture(resnet50(1, 1, 8192));
  for (const char* words : {"1.28 M", "14 M", "100 M", "1 G (does not fit)", "1 min", "1,024",
                            "Calculated, not measured", "resnet50 on NVIDIA H100 SXM"})
    EXPECT_THAT(svg, HasSubstr(words));
  PlanSettings h200 = resnet50(1, 1, 8192);
  h200.gpu = kind("h200");
  EXPECT_THAT(plan_picture(h200), ::testing::Not(HasSubstr("does not fit")));
}

/// The numbers of a text, in order, and the text without them.
std::pair<std::vector<double>, std::string> numbers_of(const std::string& text) {
  std::pair<std::vector<double>, std::string> found;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find_first_not_of("0123456789.", at), text.size());
    if (end > at) found.first.push_back(std::strtod(text.substr(at, end - at).c_str(), nullptr));
    if (end < text.size()) found.second += text[end];
    at = end + 1;
  }
  return found;
}

TEST(PlanPicture, OfTheDocumentsIsWhatIsDrawn) {
  const auto shown =
      numbers_of(testing::read_all(std::string(INVP_SOURCE_DIR) + "/docs/images/plan.svg"));
  const auto drawn = numbers_of(plan_picture(resnet50(1, 1, 8192)));
  EXPECT_EQ(shown.second, drawn.second);
  ASSERT_EQ(shown.first.size(), drawn.first.size());
  for (std::size_t i = 0; i < shown.first.size(); ++i)
    EXPECT_NEAR(shown.first[i], drawn.first[i], 0.11);  // a last digit may be rounded otherwise
}

}  // namespace
}  // namespace invp
