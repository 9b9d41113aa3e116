// Layer-wise linear classification: a frozen network, a linear classifier at each of its taps, all
// trained in one pass over the data (supplement B.2; invp/protocols of the released code).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "data/sets/dataset.h"
#include "engine/core/device.h"
#include "invp/protocols/linear/linear_heads.h"
#include "invp/protocols/linear/tap_judge.h"
#include "invp/run/observer.h"
#include "invp/run/run.h"
#include "layers/resnet.h"

namespace invp {

struct LinearConfig {
  std::vector<int> taps;  ///< empty: all
  TapPooling pooling = TapPooling::kGlobal;
  HeadInit init = HeadInit::kSmall;
  bool norm = false;  ///< LinearHeadsConfig::norm

  AugmentConfig augment;     ///< of training
  AugmentConfig evaluation;  ///< of one view
  TestViews views = TestViews::kOne;
  bool cache_features =
      false;  ///< where can_cache(); of the validation set also if training cannot

  int epochs = 100;
  int batch_size = 256;
  /// The gradients of so many parts of a batch are added in a fixed tree, so that ranks may compute
  /// them. No norm sees a batch here.
  int bn_groups = 1;
  DType wire = DType::kF32;  ///< what gradients travel in between ranks (layers/in_groups.h)
  double learning_rate = 30;
  std::vector<int> milestones = {60, 80};
  double lr_decay = 0.1;
  double momentum = 0.9;
  double weight_decay = 0;
  int evaluate_every = 1;  ///< epochs; the last one is always evaluated

  /// Trains the network too, at the same rate, with its batch norms in evaluation mode; the
  /// milestones are then the network's alone, and the classifier's rate stays (the released code's
  /// second form for VOC07). Of one tap, the last, with global pooling.
  bool train_network = false;

  DType compute_type = DType::kF32;  ///< of the network; classifiers are f32
  std::uint64_t seed = 0;
  int workers = 1;
  std::optional<AugmentOn> augment_on;  ///< unset: as suits the device
  double max_bad_share = 0.01;

  RunConfig run;  ///< where it goes and how it is saved; the rest is filled in by run_linear()
};

struct TapResult {
  TapLayer layer;
  TapScore score;
};

struct LinearResult {
  RunResult run;
  bool multi_label = false;
  std::vector<TapResult> taps;  ///< of the last evaluation, in rising order; none before the first
  std::size_t best = 0;         ///< of them: the highest top-1, or mean average precision

  double headline(const TapResult& tap) const {
    return multi_label ? tap.score.map : tap.score.top1;
  }
};

/// The network's weights as a run compares them: what the classifiers see is decided by them.
IdentityEntry network_identity(const ResNet& network);

/// Trains the classifiers for `train` and judges them by `validation`, of the same classes. The
/// network is used in evaluation mode on the device it is on. Single labels are trained with cross
/// entropy; of multi-label sets the loss is binary cross entropy, summed over the classes, averaged
/// over the batch, without the unclear ones. Throws Error for settings that do not go together and
/// for the faults of run_task.
LinearResult run_linear(ResNet& network, const LinearConfig& config, const Dataset& train,
                        const Dataset& validation, RunObserver& observer);

}  // namespace invp
