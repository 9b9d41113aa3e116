// The pretraining run: Invariance Propagation on one training set, with weighted kNN of the
// validation split against the memory bank after every epoch (the released code's protocol).
// Written once for any device; whoever watches gets told through a RunObserver.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "data/sets/dataset.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "invp/method/objective.h"
#include "invp/run/observer.h"
#include "layers/resnet.h"

namespace invp {

enum class ScheduleKind {
  kCosine,
  kStep,  ///< times lr_decay at each milestone
};

/// How the bank starts.
enum class BankStart {
  kRandom,    ///< uniform in +-1/sqrt(d/3) (paper)
  kFeatures,  ///< one pass of the untrained network over the training set
};

struct PretrainConfig {
  NetworkConfig network;
  ObjectiveConfig objective;
  AugmentConfig augment;
  AugmentConfig evaluation;  ///< the deterministic pipeline of the kNN queries

  int epochs = 800;
  int batch_size = 128;
  double learning_rate = 0.03;
  ScheduleKind schedule = ScheduleKind::kCosine;
  std::vector<int> milestones;
  double lr_decay = 0.1;
  int warmup_epochs = 0;
  double momentum = 0.9;
  double weight_decay = 1e-4;
  BankStart bank_start = BankStart::kRandom;
  bool center_head = false;  ///< set the last bias so that the first outputs have mean zero

  int knn_k = 200;
  double knn_tau = 0.07;
  int knn_every = 1;  ///< epochs; 0: never

  Device device;
  DType compute_type = DType::kF32;
  std::uint64_t seed = 0;
  int workers = 1;
  std::optional<AugmentOn> augment_on;  ///< unset: as suits the device
  DecodeOn decode_on = DecodeOn::kWorkers;
  double max_bad_share = 0.01;  ///< of the training images, before the run stops

  std::filesystem::path out;  ///< the run folder; checkpoints go to out/checkpoints
  int save_every = 0;         ///< keep epoch-NNNN every so many epochs; 0: only last and best
  int save_steps = 0;  ///< write `last` every so many steps inside an epoch; 0: see save_minutes
  double save_minutes = 10;                     ///< ... or when so much time has passed
  std::int64_t stop_after = 0;                  ///< stop after so many steps in all; 0: never
  std::optional<std::filesystem::path> resume;  ///< a checkpoint to go on from
};

struct PretrainResult {
  bool finished = false;  ///< false: stopped on request or by stop_after, with `last` written
  int epoch = 0;          ///< last epoch completed
  EpochReport last;       ///< of that epoch
  double best_knn_top1 = 0;
  int best_epoch = 0;
  std::filesystem::path checkpoint;  ///< checkpoints/last.safetensors
};

/// Trains. `validation` may be null. Throws Error when the loss is not finite (the weights and the
/// last checkpoint are then those of before), when too many images are broken, when a checkpoint
/// cannot be written or does not fit.
PretrainResult pretrain(const PretrainConfig& config, const Dataset& train,
                        const Dataset* validation, RunObserver& observer);

}  // namespace invp
