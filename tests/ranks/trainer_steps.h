// Steps of small trainers on several ranks: the same batches, whoever makes which part of them.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/comm/comm_mpi.h"
#include "engine/core/parallel.h"
#include "invp/method/trainer.h"
#include "invp/run/run_ranks.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/close.h"
#include "tests/support/values.h"

namespace invp::testing {

inline constexpr std::int64_t kImages = 24;
inline constexpr std::int64_t kBatch = 8;
inline constexpr int kSize = 16;

inline std::shared_ptr<Communicator> join() {
  set_num_threads(1);
  return join_mpi(deadline_watch(start_mpi(), Seconds(60)));
}

inline TrainerConfig config_of(const NetworkConfig& network, int groups) {
  TrainerConfig config{.network = network, .seed = 5, .groups = groups};
  config.objective.background = 16;
  config.objective.hard_positives = 4;
  config.objective.warm_epochs = 1;
  return config;
}

struct Planned {
  std::int64_t images;
  std::vector<std::int64_t> missing = {};  ///< places of images that cannot be read
};

/// Short batches, images that cannot be read, a rank without any image.
inline const std::vector<Planned>& steps() {
  static const std::vector<Planned> all = {{kBatch}, {kBatch},      {5},
                                           {kBatch}, {kBatch, {3}}, {kBatch, {0, 1}},
                                           {kBatch}, {1},           {kBatch, {4, 5, 6, 7}},
                                           {kBatch}};
  return all;
}

/// The part of a step's batch that a rank makes.
inline Batch batch_of(std::size_t step, const BatchPart& part) {
  const Planned& planned = steps()[step];
  const Shape shape{planned.images, kSize, kSize, 3};
  const Tensor images = tensor(random_values(100 + step, shape.numel()), shape);
  const RowRange rows = part.rows(planned.images);
  Batch batch;
  batch.planned = planned.images;
  batch.total = planned.images - std::ssize(planned.missing);
  batch.images = Tensor::empty({rows.count(), kSize, kSize, 3});
  for (std::int64_t row = rows.first; row < rows.last; ++row) {
    if (std::ranges::find(planned.missing, row) != planned.missing.end()) continue;
    const auto kept = std::ssize(batch.indices);
    batch.images.slice(kept, kept + 1).copy_from(images.slice(row, row + 1));
    batch.places.push_back(row);
    batch.indices.push_back((static_cast<std::int64_t>(step) * 5 + row) % kImages);
  }
  batch.images = batch.images.slice(0, std::ssize(batch.indices));
  return batch;
}

/// What all ranks have alike; and the running statistics, which are rank 0's.
inline std::vector<NamedTensor> state_of(Trainer& trainer, bool statistics) {
  std::vector<NamedTensor> state = trainer.network().parameters();
  if (statistics) {
    for (const NamedTensor& item : trainer.network().buffers()) state.push_back(item);
  }
  for (const SgdParameter& item : trainer.optimizer().state())
    state.push_back({"momentum." + item.name, item.tensor});
  state.push_back({"bank", trainer.bank().rows()});
  state.push_back({"graph", trainer.graph().rows()});
  return state;
}

inline void expect_same_state(Trainer& got, Trainer& want, bool statistics) {
  const std::vector<NamedTensor> a = state_of(got, statistics);
  std::vector<NamedTensor> b = state_of(want, statistics);
  if (const SpreadRows* const spread = got.spread_rows(); spread != nullptr)
    std::ranges::find(b, "bank", &NamedTensor::name)->tensor = spread->own_of(want.bank().rows());
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(a[i].name);
    expect_identical(a[i].tensor.detach(), b[i].tensor.detach());
  }
}

/// All steps, on the ranks of `shared` and alone, come to the same bits. The running statistics are
/// compared on rank 0, or on all.
inline void expect_same_steps(Trainer& shared, Trainer& alone, int groups,
                              bool statistics_on_all = false) {
  const Ranks here = shared.ranks().ranks();
  const BatchPart part = share_of_rank(groups, here);
  const BatchPart whole{.groups = groups, .first = 0, .count = groups};
  for (std::size_t step = 0; step < steps().size(); ++step) {
    SCOPED_TRACE(step);
    const int epoch = 1 + static_cast<int>(step / 3);
    const StepLosses got = shared.step(batch_of(step, part), epoch, 1.0);
    const StepLosses want = alone.step(batch_of(step, whole), epoch, 1.0);
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_EQ(got.output_sum, want.output_sum);
  }
  expect_same_state(shared, alone, statistics_on_all || here.rank == 0);
}

}  // namespace invp::testing
