// Whole runs of pretraining on several ranks: what is written, reported and resumed is that of one.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "data/sets/dataset.h"
#include "data/sets/synthetic_dataset.h"
#include "engine/comm/comm_mpi.h"
#include "engine/comm/gather.h"
#include "engine/core/parallel.h"
#include "engine/files/safetensors.h"
#include "invp/method/pretrain.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

constexpr SyntheticOptions kSet{.classes = 4, .size = 16};

/// A set some of whose images cannot be read.
class Holed final : public Dataset {
 public:
  Holed(const Dataset& set, std::vector<std::int64_t> holes)
      : Dataset("holed", labels_of(set), set.classes()), set_(set), holes_(std::move(holes)) {}
  std::string name(std::int64_t index) const override { return message("image ", index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    if (std::ranges::find(holes_, index) != holes_.end()) fail(name(index), ": cut short");
    set_.fetch(index, sample);
  }

 private:
  static std::vector<std::int32_t> labels_of(const Dataset& set) {
    std::vector<std::int32_t> labels;
    for (std::int64_t i = 0; i < set.size(); ++i)
      labels.push_back(static_cast<std::int32_t>(set.label(i)));
    return labels;
  }
  const Dataset& set_;
  std::vector<std::int64_t> holes_;
};

/// This rank's part of the test: a folder that all ranks share, and runs there.
class Ranked {
 public:
  Ranked() {
    set_num_threads(1);
    ranks = join_mpi(deadline_watch(start_mpi(), Seconds(60)));
    if (first()) own_.emplace();
    folder_ = broadcast_text(*ranks, "folder", first() ? own_->path().string() : "");
    groups = ranks->ranks().size == 3 ? 6 : 4;
  }
  ~Ranked() { settle(); }
  Ranked(const Ranked&) = delete;
  Ranked& operator=(const Ranked&) = delete;

  bool first() const { return ranks->ranks().rank == 0; }
  /// All ranks have come here.
  void settle() { gather_numbers(*ranks, "settle", 0); }

  PretrainConfig config(const std::string& name, bool shared) const {
    PretrainConfig config;
    config.network = {.arch = Arch::kResNet18Cifar, .width = 4, .dim = 16};
    config.objective.background = 32;
    config.objective.hard_positives = 5;
    config.objective.warm_epochs = 1;
    config.augment = augment_preset("cifar");
    config.augment.image_size = 16;
    config.evaluation = augment_preset("eval-cifar");
    config.evaluation.image_size = 16;
    config.epochs = 2;
    config.batch_size = 12;
    config.bn_groups = groups;
    config.bank_start = BankStart::kFeatures;
    config.center_head = true;
    config.knn_k = 5;
    config.max_bad_share = 0.2;
    config.run.out = std::filesystem::path(folder_) / name;
    if (shared) config.run.ranks.communicator = ranks;
    return config;
  }

  std::shared_ptr<Communicator> ranks;
  int groups = 4;

 private:
  std::optional<TempFolder> own_;
  std::string folder_;
};

void expect_same_tensors(const std::filesystem::path& got, const std::filesystem::path& want) {
  const TensorFile a = read_safetensors(got);
  const TensorFile b = read_safetensors(want);
  ASSERT_EQ(a.tensors.size(), b.tensors.size());
  for (const auto& [name, tensor] : b.tensors) {
    const Tensor* const other = a.find(name);
    ASSERT_NE(other, nullptr) << name;
    EXPECT_EQ(std::memcmp(other->raw(), tensor.raw(), tensor.nbytes()), 0) << name;
  }
  for (const char* const key : {"position.bad_images", "position.epoch", "position.global_step"})
    EXPECT_EQ(a.metadata.contains(key) ? a.metadata.at(key) : "",
              b.metadata.contains(key) ? b.metadata.at(key) : "")
        << key;
}

void expect_same_reports(const Recorder& got, const Recorder& want) {
  ASSERT_EQ(got.steps.size(), want.steps.size());
  for (std::size_t i = 0; i < got.steps.size(); ++i) {
    EXPECT_EQ(got.steps[i].loss, want.steps[i].loss) << i;
    EXPECT_EQ(got.steps[i].images, want.steps[i].images) << i;
  }
  ASSERT_EQ(got.epochs.size(), want.epochs.size());
  for (std::size_t i = 0; i < got.epochs.size(); ++i) {
    EXPECT_EQ(got.epochs[i].loss, want.epochs[i].loss);
    EXPECT_EQ(got.epochs[i].skipped_images, want.epochs[i].skipped_images);
    for (const char* const name :
         {"loss_ins", "loss_inv", "knn_top1", "knn_top5", "positive_purity"}) {
      EXPECT_EQ(measure_or_nan(got.epochs[i].measures, name),
                measure_or_nan(want.epochs[i].measures, name))
          << name;
    }
  }
}

// 51 images in batches of 12: the last has 3. Some cannot be read, of training and of validation.
RANKS_TEST(PretrainRanks, ARunIsThatOfOneRank, 1, 2, 3, 4) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  const Holed train(*set, {7, 20, 33});
  const Holed validation(*queries, {13, 29});
  Recorder shared;
  const RunResult result = pretrain(here.config("shared", true), train, &validation, shared);
  EXPECT_TRUE(result.finished);
  if (!here.first()) {
    EXPECT_TRUE(shared.steps.empty()) << "rank 0 alone speaks";
    return;
  }
  Recorder alone;
  const RunResult want = pretrain(here.config("alone", false), train, &validation, alone);
  ASSERT_EQ(shared.steps.size(), 10U);
  EXPECT_EQ(shared.epochs.back().skipped_images, 3);
  expect_same_reports(shared, alone);
  expect_same_tensors(result.checkpoint, want.checkpoint);
  EXPECT_EQ(read_all(here.config("shared", true).run.out / "skipped-images.tsv"),
            read_all(here.config("alone", false).run.out / "skipped-images.tsv"));
}

// Stopped on these ranks, gone on with on one, and the other way round.
RANKS_TEST(PretrainRanks, ARunGoesOnWithAnotherNumberOfRanks, 2, 4) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 51);
  const auto queries = open_synthetic(kSet, SyntheticSplit::kVal, 30);
  std::filesystem::path whole;
  if (here.first()) {
    Recorder recorder;
    whole = pretrain(here.config("whole", false), *train, queries.get(), recorder).checkpoint;
  }
  for (const bool shared_first : {true, false}) {
    for (const std::int64_t stop : {1, 4, 5, 7}) {
      SCOPED_TRACE(message(shared_first, " ", stop));
      const std::string name = message(shared_first ? "shared-" : "alone-", stop);
      std::filesystem::path end;
      for (const bool shared : {shared_first, !shared_first}) {
        if (!shared && !here.first()) continue;
        if (shared) here.settle();
        PretrainConfig config = here.config(name, shared);
        Recorder recorder;
        if (shared == shared_first) {
          recorder.stop_at = stop;
          EXPECT_FALSE(pretrain(config, *train, queries.get(), recorder).finished);
          EXPECT_EQ(std::ssize(recorder.steps), here.first() ? stop : 0);
        } else {
          config.run.resume = "auto";
          const RunResult result = pretrain(config, *train, queries.get(), recorder);
          EXPECT_TRUE(result.finished);
          end = result.checkpoint;
        }
      }
      here.settle();
      if (here.first()) expect_same_tensors(end, whole);
    }
  }
}

// Fewer images than ranks; groups and ranks without any.
RANKS_TEST(PretrainRanks, FewerImagesThanRanks, 4) {
  Ranked here;
  const auto train = open_synthetic(kSet, SyntheticSplit::kTrain, 3);
  Recorder shared;
  const RunResult result = pretrain(here.config("shared", true), *train, train.get(), shared);
  if (!here.first()) return;
  Recorder alone;
  const RunResult want = pretrain(here.config("alone", false), *train, train.get(), alone);
  ASSERT_EQ(shared.steps.size(), 2U);
  EXPECT_EQ(shared.steps.front().images, 3);
  expect_same_reports(shared, alone);
  expect_same_tensors(result.checkpoint, want.checkpoint);
}

// Too many are bad all together, not on any one rank: all ranks end, at the step where one rank
// would, with its words.
RANKS_TEST(PretrainRanks, TooManyBadImagesEndAllRanksWhereTheyEndOne, 4) {
  Ranked here;
  const auto set = open_synthetic(kSet, SyntheticSplit::kTrain, 48);
  const Holed train(*set, {1, 2, 3, 5, 8, 13, 21, 34});
  const auto words = [&](bool shared) {
    Recorder recorder;
    try {
      PretrainConfig config = here.config(shared ? "shared" : "alone", shared);
      config.bank_start = BankStart::kRandom;
      config.center_head = false;
      config.max_bad_share = 0.1;
      pretrain(config, train, nullptr, recorder);
    } catch (const Error& error) {
      return message(recorder.steps.size(), " steps, ", error.what());
    }
    return std::string("nothing");
  };
  const std::string shared = words(true);
  EXPECT_NE(shared.find("cut short"), std::string::npos) << shared;
  if (!here.first()) return;
  EXPECT_EQ(shared, words(false));
}

}  // namespace
}  // namespace invp::testing
