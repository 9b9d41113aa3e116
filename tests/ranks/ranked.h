// Runs on several ranks beside the same run on one.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/sets/dataset.h"
#include "engine/comm/comm_mpi.h"
#include "engine/comm/gather.h"
#include "engine/core/parallel.h"
#include "engine/files/safetensors.h"
#include "invp/run/run.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/recorder.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

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

  std::filesystem::path out(const std::string& name) const {
    return std::filesystem::path(folder_) / name;
  }

  std::shared_ptr<Communicator> ranks;
  int groups = 4;

 private:
  std::optional<TempFolder> own_;
  std::string folder_;
};

inline void expect_same_tensors(const std::filesystem::path& got,
                                const std::filesystem::path& want) {
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

/// A run that is stopped on these ranks and gone on with on one, and one the other way round, end
/// in the tensors of the checkpoint `whole`. part(name, shared, stops) makes a part of the run
/// `name`, on these ranks or alone, to be stopped or to go to the end; it returns the checkpoint.
template <class Part>
void expect_to_go_on_elsewhere(Ranked& here, const std::filesystem::path& whole, const Part& part) {
  for (const bool shared_first : {true, false}) {
    const std::string name = shared_first ? "shared-first" : "alone-first";
    SCOPED_TRACE(name);
    std::filesystem::path end;
    for (const bool shared : {shared_first, !shared_first}) {
      if (!shared && !here.first()) continue;
      if (shared) here.settle();
      end = part(name, shared, shared == shared_first);
    }
    here.settle();
    if (here.first()) expect_same_tensors(end, whole);
  }
}

inline void expect_same_reports(const Recorder& got, const Recorder& want) {
  ASSERT_EQ(got.steps.size(), want.steps.size());
  for (std::size_t i = 0; i < got.steps.size(); ++i) {
    EXPECT_EQ(got.steps[i].loss, want.steps[i].loss) << i;
    EXPECT_EQ(got.steps[i].images, want.steps[i].images) << i;
  }
  ASSERT_EQ(got.epochs.size(), want.epochs.size());
  for (std::size_t i = 0; i < got.epochs.size(); ++i) {
    EXPECT_EQ(got.epochs[i].loss, want.epochs[i].loss);
    EXPECT_EQ(got.epochs[i].skipped_images, want.epochs[i].skipped_images);
    for (const char* const name : {"loss_ins", "loss_inv", "knn_top1", "knn_top5",
                                   "positive_purity", "top1", "top5", "mean_per_class"}) {
      const double* const want_it = find_measure(want.epochs[i].measures, name);
      ASSERT_EQ(find_measure(got.epochs[i].measures, name) != nullptr, want_it != nullptr) << name;
      if (want_it == nullptr) continue;
      EXPECT_EQ(*find_measure(got.epochs[i].measures, name), *want_it) << name;
    }
  }
}

/// All measures of all epochs.
inline void expect_same_measures(const Recorder& got, const Recorder& want) {
  ASSERT_EQ(got.epochs.size(), want.epochs.size());
  for (std::size_t i = 0; i < want.epochs.size(); ++i) {
    const std::vector<Measure>& measures = want.epochs[i].measures;
    ASSERT_EQ(got.epochs[i].measures.size(), measures.size());
    for (std::size_t k = 0; k < measures.size(); ++k) {
      EXPECT_EQ(got.epochs[i].measures[k].name, measures[k].name);
      EXPECT_EQ(got.epochs[i].measures[k].value, measures[k].value) << measures[k].name;
    }
  }
}

/// Up to rounding: what may differ where ranks share a group. `want` has `first` steps more, before
/// those of `got`.
inline void expect_close_reports(const Recorder& got, const Recorder& want, std::size_t first = 0) {
  ASSERT_EQ(got.steps.size() + first, want.steps.size());
  for (std::size_t i = 0; i < got.steps.size(); ++i) {
    const StepReport& other = want.steps[first + i];
    EXPECT_NEAR(got.steps[i].loss, other.loss, 1e-5 * other.loss) << i;
    EXPECT_EQ(got.steps[i].images, other.images) << i;
  }
  EXPECT_EQ(got.epochs.back().skipped_images, want.epochs.back().skipped_images);
}

}  // namespace invp::testing
