// Stochastic gradient descent with momentum and coupled weight decay, PyTorch's rule
// (engine/ops/step/sgd_step.h), over groups of parameters that may differ in their settings.
#pragma once

#include <string>
#include <vector>

#include "engine/ops/step/sgd_step.h"

namespace invp {

struct SgdParameter {
  std::string name;
  Tensor tensor;
};

class Sgd {
 public:
  /// Parameters that share settings. The learning rate of a step is the group's times what step()
  /// is given.
  struct Group {
    std::vector<SgdParameter> parameters;
    SgdHyper hyper;
  };
  explicit Sgd(std::vector<Group> groups);

  std::size_t groups() const { return groups_.size(); }
  /// From the next step on.
  void set_learning_rate(std::size_t group, double rate) { groups_.at(group).hyper.lr = rate; }

  /// Updates every parameter that has a gradient, each group in one fused pass, with learning rate
  /// hyper.lr * lr_factor.
  void step(double lr_factor = 1.0);
  /// The same with what the device's memory says (engine/ops/step/sgd_step.h).
  void step(const SgdControl& control);
  /// Forgets the gradients, whose memory goes back to the allocator.
  void zero_grad();

  /// Momentum by parameter name, of the parameters that have been updated.
  std::vector<SgdParameter> state() const;
  /// Replaces it. Throws Error naming `origin` when names or shapes do not fit, or when it is of a
  /// part of a group; nothing has changed then.
  void load_state(const std::vector<SgdParameter>& state, const std::string& origin);

 private:
  struct Slot {
    Tensor momentum;  ///< undefined until the first update
  };
  void step(double lr_factor, const SgdControl& control);

  std::vector<Group> groups_;
  std::vector<std::vector<Slot>> slots_;  ///< by group, by parameter
};

}  // namespace invp
