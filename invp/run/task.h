// What a run trains. The run (run.h) walks through the data, saves, evaluates and reports; the task
// knows what a step computes, how it is judged, and what its state is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/files/tensor_file.h"
#include "invp/run/batch_source.h"
#include "invp/run/observer.h"
#include "invp/run/spread_rows.h"
#include "invp/run/step_queue.h"
#include "optim/progress.h"
#include "optim/sgd.h"

namespace invp {

/// What the validation data say of a task.
struct Evaluation {
  std::vector<Measure> measures;  ///< in the order in which they are to be shown
  std::int64_t images = 0;        ///< of the validation data, unreadable ones included
  std::vector<BadImage> bad;      ///< those, which the measures leave out
};

class Task {
 public:
  using PhaseProgress =
      std::function<void(const char* phase, std::int64_t done, std::int64_t total)>;
  virtual ~Task() = default;

  virtual Device device() const = 0;
  /// Names of the losses of a step. The first, which the run minimises, is called "loss".
  virtual std::vector<std::string> loss_names() const { return {"loss"}; }
  /// Of the first group of parameters, for the reports.
  virtual double learning_rate(const Progress& progress) const = 0;

  /// Called once, before the first step of a run. If it throws Stopped, the state() is as before
  /// as far as calling it again can tell: a resumed run does.
  virtual void prepare(BatchSource& /*batches*/, const PhaseProgress& /*progress*/) {}
  /// Queues one step: forward pass, backward pass, update, all of which change nothing once a loss
  /// was not finite (StepQueue). Must not wait for the device.
  virtual void step(const Batch& batch, const Progress& progress) = 0;
  /// Waits for the device. What the steps since the last call came to; at most StepQueue::kMost of
  /// them are queued.
  virtual std::vector<StepLosses> finish() = 0;

  /// Called after the last step, before that epoch's evaluation; and again when a run that ended in
  /// between is resumed, so it must come to the same. May throw
  /// Stopped; state() is then as it was.
  virtual void finish_training(const PhaseProgress& /*progress*/) {}
  /// Leaves the task ready to train on. Without validation data there are no measures. May throw
  /// Stopped; state() is then as it was.
  virtual Evaluation evaluate(const PhaseProgress& progress) = 0;
  /// Figures of the training itself, after every epoch.
  virtual std::vector<Measure> after_epoch() { return {}; }
  /// Something the person should know of the speed, after the first epoch; empty: nothing.
  virtual std::string advice() const { return {}; }

  /// What is trained, by the names it has in checkpoints. Of a whole network "model.NAME" in
  /// torchvision's names and layouts, so that other commands find it.
  virtual TensorFile state() const = 0;
  /// The tensor of state() of which every rank has some rows only, if there is one: state() and
  /// load_state() then mean those.
  virtual const SpreadRows* spread_rows() const { return nullptr; }
  /// Throws Error naming `origin` when it does not fit, or, of a file without checksums, where it
  /// holds what no run writes.
  virtual void load_state(const TensorFile& state, const std::string& origin) = 0;
  /// Its momentum goes into checkpoints too.
  virtual Sgd& optimizer() = 0;
};

}  // namespace invp
