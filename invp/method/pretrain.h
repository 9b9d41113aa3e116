// The pretraining run: Invariance Propagation on one training set, with weighted kNN of the
// validation split against the memory bank after every epoch (the released code's protocol).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "data/sets/dataset.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "invp/method/objective.h"
#include "invp/run/run.h"
#include "layers/in_groups.h"
#include "layers/resnet.h"

namespace invp {

enum class ScheduleKind {
  kCosine,        ///< by epoch
  kCosineByStep,  ///< the same curve, step by step
  kStep,          ///< times lr_decay at each milestone
  kConstant,
};

/// How the bank starts.
enum class BankStart {
  kRandom,    ///< uniform in +-1/sqrt(d/3) (paper)
  kFeatures,  ///< one pass of the untrained network over the training set
};

/// Where the bank is.
enum class BankPlace {
  kAuto,        ///< on every rank up to kMostReplicatedBank bytes of rows, then spread
  kReplicated,  ///< on every rank
  kSharded,     ///< its rows spread over the ranks of a machine
};
inline constexpr std::int64_t kMostReplicatedBank = 12'000'000'000;

struct PretrainConfig {
  NetworkConfig network;
  ObjectiveConfig objective;
  AugmentConfig augment;
  AugmentConfig evaluation;  ///< the deterministic pipeline of the kNN queries

  int epochs = 800;
  int batch_size = 128;
  int bn_groups = 1;                        ///< TrainerConfig::groups
  NormSharing norms = NormSharing::kLocal;  ///< TrainerConfig::norms
  DType wire = DType::kF32;                 ///< TrainerConfig::wire
  double learning_rate = 0.03;
  ScheduleKind schedule = ScheduleKind::kCosine;
  std::vector<int> milestones;
  double lr_decay = 0.1;
  int warmup_epochs = 0;
  std::int64_t warmup_steps = 0;  ///< instead of warmup_epochs
  double momentum = 0.9;
  double weight_decay = 1e-4;
  BankStart bank_start = BankStart::kRandom;
  BankPlace bank = BankPlace::kAuto;
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

  RunConfig run;  ///< where it goes and how it is saved; the rest is filled in by pretrain()
};

/// Whether the bank of so many images is spread: a function of the settings, not of the ranks.
bool spreads_bank(const PretrainConfig& config, std::int64_t images);

/// Trains. `validation` may be null; it has the classes of `train`. The faults are those of
/// run_task.
RunResult pretrain(const PretrainConfig& config, const Dataset& train, const Dataset* validation,
                   RunObserver& observer);

}  // namespace invp
