// Training a detector on several ranks is training it on one: the paper's four GPUs of one picture
// are four groups of one process, or four processes.
#include <gtest/gtest.h>

#include <fstream>

#include "invp/protocols/detection/detect.h"
#include "tests/ranks/ranked.h"
#include "tests/tools/devkit.h"

namespace invp::testing {
namespace {

/// 12 pictures to train on and 7 to judge by; one of each cannot be read.
class Pictures {
 public:
  explicit Pictures(Ranked& here) {
    const std::filesystem::path folder = here.out("devkit");
    if (here.first()) {
      write_devkit(folder, 12, 7);
      for (const char* const id : {"000004", "0000015"})
        std::ofstream(folder / "VOC2007/JPEGImages" / (std::string(id) + ".jpg")) << "no picture";
    }
    here.settle();
    train = open_boxes(folder, {.format = "voc", .split = "train"});
    test = open_boxes(folder, {.format = "voc", .split = "test"});
  }
  DetectionSet train, test;
};

DetectConfig config_of(const Ranked& here) {
  DetectConfig config;
  config.iterations = 5;
  config.learning_rate = 0.01;
  config.warmup = 2;
  config.drops = {4};
  config.precise_batches = 2;
  config.loader.groups = here.groups;
  config.loader.short_edges = {32, 48};
  config.loader.longest = 64;
  config.loader.seed = 3;
  config.max_bad_share = 0.2;
  config.test_short_edge = 48;
  config.report_every = 2;
  config.device = kCpu;
  return config;
}

RunResult run(const Ranked& here, const std::string& name, bool shared, DetectConfig config,
              const Pictures& pictures, Recorder& recorder) {
  config.run.out = here.out(name);
  if (shared) config.run.ranks.communicator = here.ranks;
  FasterRcnn detector({.width = 2,
                       .classes = static_cast<int>(pictures.train.classes.size()),
                       .seed = 3,
                       .rpn = {.samples = 16, .train_after = 20},
                       .regions = {.samples = 8}});
  return run_detect(detector, config, pictures.train, &pictures.test, recorder);
}

void expect_same_runs(Ranked& here, const std::string& name, const DetectConfig& config,
                      const Pictures& pictures) {
  SCOPED_TRACE(name);
  here.settle();
  Recorder shared;
  const RunResult got = run(here, name, true, config, pictures, shared);
  EXPECT_TRUE(got.finished);
  if (!here.first()) return;
  Recorder alone;
  const RunResult want = run(here, name + "-alone", false, config, pictures, alone);
  ASSERT_EQ(shared.steps.size(), 5U);
  EXPECT_GT(alone.epochs.back().skipped_images, 0);
  expect_same_reports(shared, alone);
  expect_same_measures(shared, alone);
  EXPECT_NE(find_measure(shared.epochs.back().measures, "ap50"), nullptr);
  expect_same_tensors(got.checkpoint, want.checkpoint);
  for (const char* const file : {"skipped-images.tsv", "detections/coco_instances_results.json"})
    EXPECT_EQ(read_all(here.out(name) / file), read_all(here.out(name + "-alone") / file)) << file;
}

RANKS_TEST(DetectRanks, ARunIsThatOfOneRank, 2, 3, 4) {
  Ranked here;
  const Pictures pictures(here);
  const DetectConfig naive = config_of(here);
  expect_same_runs(here, "naive", naive, pictures);
  DetectConfig sync = naive;
  sync.norms = NormSharing::kSync;
  sync.loader.pictures_per_group = 2;
  sync.precise_rule = PreciseNormRule::kPooled;
  expect_same_runs(here, "sync", sync, pictures);
  DetectConfig local = naive;
  local.norms = NormSharing::kLocal;
  expect_same_runs(here, "local", local, pictures);
}

// Stopped on these ranks, gone on with on one, and the other way round.
RANKS_TEST(DetectRanks, ARunGoesOnWithAnotherNumberOfRanks, 2, 4) {
  Ranked here;
  const Pictures pictures(here);
  const DetectConfig config = config_of(here);
  std::filesystem::path whole;
  if (here.first()) {
    Recorder recorder;
    whole = run(here, "whole", false, config, pictures, recorder).checkpoint;
  }
  expect_to_go_on_elsewhere(here, whole, [&](const std::string& name, bool shared, bool stops) {
    Recorder recorder;
    DetectConfig part = config;
    if (stops)
      part.run.stop_after = 3;
    else
      part.run.resume = "auto";
    const RunResult result = run(here, name, shared, part, pictures, recorder);
    EXPECT_EQ(result.finished, !stops);
    return result.checkpoint;
  });
}

// Ranks share whole groups.
RANKS_TEST(DetectRanks, MoreRanksThanGroupsAreRefused, 2) {
  Ranked here;
  const Pictures pictures(here);
  DetectConfig config = config_of(here);
  config.loader.groups = 1;
  Recorder recorder;
  EXPECT_THROW(run(here, "few", true, config, pictures, recorder), Error);
}

}  // namespace
}  // namespace invp::testing
