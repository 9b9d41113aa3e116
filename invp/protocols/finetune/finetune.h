// Fine-tuning: a backbone and a new linear layer trained together on labels, for the
// semi-supervised protocol (1 % and 10 % of ImageNet's labels) and for transfer to small data sets
// (supplement, B.3 and B.4). Batch norms use and update batch statistics.
#pragma once

#include <memory>
#include <string>

#include "data/images/augment.h"
#include "data/sets/dataset.h"
#include "invp/run/run.h"
#include "layers/in_groups.h"
#include "layers/resnet.h"

namespace invp {

enum class FinetuneProtocol { kSemi, kTransfer };

struct FinetuneConfig {
  FinetuneProtocol protocol = FinetuneProtocol::kTransfer;
  AugmentConfig augment;
  AugmentConfig evaluation;

  int epochs = 200;
  int batch_size = 128;
  double learning_rate = 0.001;     ///< of the backbone
  double fc_learning_rate = 0.005;  ///< of the new layer
  double fc_first_rate = 0;         ///< of the new layer in the first epoch; 0: as fc_learning_rate
  bool fc_constant = false;         ///< the new layer's rate never falls
  std::vector<int> milestones = {120, 160};
  double lr_decay = 0.1;
  double momentum = 0.9;
  double weight_decay = 1e-6;  ///< of everything, biases and batch norms too
  bool fc_only = false;        ///< the backbone stays but for its running statistics
  /// Groups of a batch, as on the released code's GPUs, and what batch norms see of them
  /// (layers/in_groups.h).
  int bn_groups = 1;
  NormSharing norms = NormSharing::kLocal;
  DType wire = DType::kF32;  ///< what gradients travel in between ranks (layers/in_groups.h)

  Device device;
  DType compute_type = DType::kF32;
  std::uint64_t seed = 0;
  int workers = 1;
  std::optional<AugmentOn> augment_on;  ///< unset: as suits the device
  double max_bad_share = 0.01;          ///< of the training images, before the run stops
  int evaluate_every = 1;               ///< epochs; the last one is always evaluated

  RunConfig run;  ///< where it goes and how it is saved; the rest is filled in by run_finetune()
};

/// The paper's epochs, rates, milestones and weight decay.
FinetuneConfig finetune_defaults(FinetuneProtocol protocol);

/// First the measure of the data set's own protocol: the mean over classes for Oxford Pets,
/// Caltech-101 and Flowers-102, else top-1 (Kornblith et al. 2019).
std::vector<ShownMeasure> shown_measures(FinetuneProtocol protocol, const std::string& kind);

/// A network with one output per class. Its new layer starts as PyTorch's does: weights and biases
/// uniform in +-1/sqrt(n_in), a function of the seed. Its backbone is that of `weights`, or where
/// there are none it starts from the seed. Throws Error naming `origin` when the weights do not
/// fit.
std::unique_ptr<ResNet> make_classifier(NetworkConfig network, std::int64_t classes,
                                        const TensorFile* weights, const std::string& origin);

/// Trains and evaluates. `network` is that of make_classifier, on the device and in the compute
/// type that it is to have; `validation` has the classes of `train`. The faults are those of
/// run_task.
RunResult run_finetune(ResNet& network, const FinetuneConfig& config, const Dataset& train,
                       const Dataset& validation, RunObserver& observer);

}  // namespace invp
