// Modules have parameters and children; their tensors are named as torchvision names them
// ("layer1.0.conv1.weight").
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

class Module {
 public:
  Module() = default;
  virtual ~Module() = default;
  Module(const Module&) = delete;  // children are registered by address
  Module& operator=(const Module&) = delete;

  /// Trained tensors, depth first in order of registration.
  std::vector<NamedTensor> parameters() const;
  /// Tensors that are state but not trained: running statistics.
  std::vector<NamedTensor> buffers() const;
  /// Both, in torchvision's order: a module's own parameters, its own buffers, its children.
  std::vector<NamedTensor> state() const;

  /// Moves parameters and buffers to another device; every handle to them sees the move. Build a
  /// network on the CPU and move it, so that its first weights are the same on every device.
  void to(Device device);

  /// Calls visit for every module below this one, depth first in order of registration, by the
  /// names that their tensors begin with.
  void each(const std::function<void(const std::string& name, Module& module)>& visit);

  /// Training or evaluation behaviour of the whole tree.
  void train(bool on);
  bool training() const { return training_; }

 protected:
  /// Makes the tensor a leaf of autograd and part of the state; returns the same handle.
  Tensor add_parameter(std::string name, Tensor tensor);
  Tensor add_buffer(std::string name, Tensor tensor);
  /// The child must live as long as this module does.
  void add_child(std::string name, Module& child);
  /// A child whose tensors are named as if they were this module's own.
  void add_part(Module& part) { add_child("", part); }
  /// Called for every module of the tree when the mode changes or the state was replaced. Drop here
  /// what was derived from the state.
  virtual void state_changed() {}

 private:
  friend void load_state(Module& module, const std::vector<NamedTensor>& state,
                         const std::string& origin);
  enum class Kind { kParameter, kBuffer };
  void collect(const std::string& prefix, bool parameters, bool buffers,
               std::vector<NamedTensor>& out) const;
  void each_below(const std::string& prefix,
                  const std::function<void(const std::string& name, Module& module)>& visit);
  void notify();

  struct Member {
    std::string name;
    Kind kind;
    Tensor tensor;
  };
  std::vector<Member> members_;
  std::vector<std::pair<std::string, Module*>> children_;
  bool training_ = true;
};

/// Copies values into the module by name. Throws Error naming `origin`, the first tensors missing,
/// left over or of another shape, unless names and shapes agree exactly.
void load_state(Module& module, const std::vector<NamedTensor>& state, const std::string& origin);

/// Sum of elements.
std::int64_t count_elements(const std::vector<NamedTensor>& tensors);

}  // namespace invp
