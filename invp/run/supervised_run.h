// A training run with labels: epochs, order of the data, learning rates, evaluation, checkpoints
// and reports, for every protocol that trains classifiers. What a step computes, how it is
// evaluated and what its state is are the task's business.
//
// The run folder gets checkpoints/last.safetensors after every epoch, now and then inside one and
// when the run is stopped, and best.safetensors after the best epoch so far. A run resumed from a
// checkpoint ends in the same bytes as one that was never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/files/tensor_file.h"
#include "invp/run/batch_source.h"
#include "invp/run/observer.h"
#include "invp/run/run_metadata.h"
#include "optim/schedule.h"
#include "optim/sgd.h"

namespace invp {

/// What a protocol trains.
class SupervisedTask {
 public:
  using PhaseProgress =
      std::function<void(const char* phase, std::int64_t done, std::int64_t total)>;
  virtual ~SupervisedTask() = default;

  virtual Device device() const = 0;
  /// Names of the losses of a step; the first, which the run minimises, is called "loss".
  virtual std::vector<std::string> loss_names() const { return {"loss"}; }
  /// Forward pass, backward pass, optimizer().step(). Returns the batch's mean losses in the order
  /// of loss_names(), f32 (L), on any device; the run reads them later. Must not wait for the
  /// device.
  virtual Tensor train_step(const Batch& batch) = 0;
  /// Figures of the validation data, in the order in which they are to be shown. Leaves the task
  /// ready to train on.
  virtual std::vector<Measure> evaluate(const PhaseProgress& progress) = 0;

  /// One group of parameters for each learning rate of the run, which sets them.
  virtual Sgd& optimizer() = 0;
  /// What is trained, by the names it has in checkpoints: of a whole network "model.NAME" in
  /// torchvision's names and layouts, so that other commands find it.
  virtual TensorFile state() const = 0;
  /// Throws Error naming `origin` when it does not fit.
  virtual void load_state(const TensorFile& state, const std::string& origin) = 0;
};

struct SupervisedConfig {
  std::string command;  ///< "invp finetune", for what is said to people
  int epochs = 1;
  std::vector<Schedule> rates;  ///< the learning rate of an epoch, one a group of the optimiser
  int evaluate_every = 1;       ///< epochs; the last one is always evaluated
  std::vector<ShownMeasure>
      shown;  ///< for the table and the curves; the first decides what is best
  RunIdentity
      identity;  ///< what decides the weights; a checkpoint of a run with another is refused

  std::filesystem::path out;
  int save_every = 0;        ///< keep epoch-NNNN every so many epochs; 0: only last and best
  int save_steps = 0;        ///< write `last` every so many steps inside an epoch; 0: save_minutes
  double save_minutes = 10;  ///< ... or when so much time has passed
  std::int64_t stop_after = 0;                  ///< stop after so many steps in all; 0: never
  std::optional<std::filesystem::path> resume;  ///< a checkpoint to go on from
};

struct BestEpoch {
  double value = 0;
  int epoch = 0;
};

struct SupervisedResult {
  bool finished = false;  ///< false: stopped on request or by stop_after, with `last` written
  int epoch = 0;          ///< last epoch completed
  std::int64_t global_step = 0;
  EpochReport last;                       ///< of that epoch
  std::map<std::string, BestEpoch> best;  ///< of each shown measure
  std::filesystem::path checkpoint;       ///< checkpoints/last.safetensors
};

/// Trains and evaluates. Throws Error when a loss is not finite (the last checkpoint is then one of
/// before), when too many images are broken, when a checkpoint cannot be written or does not fit.
SupervisedResult run_supervised(const SupervisedConfig& config, BatchSource& batches,
                                SupervisedTask& task, RunObserver& observer);

}  // namespace invp
