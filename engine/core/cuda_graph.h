// A CUDA graph of what a function queues on its GPU's stream.
#pragma once

#include <functional>
#include <string>

#include "engine/core/cuda_context.h"

namespace invp::cuda {

class Graph {
 public:
  /// Calls the work once, without any of it being done. Throws Error under the operation's name
  /// where it does what cannot be recorded (waits, uploads).
  Graph(Device device, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Queues all of it.
  void launch() const;

 private:
  Context& gpu_;
  cudaGraphExec_t graph_ = nullptr;
};

/// Words, if the environment forbids recording; empty otherwise.
std::string why_nothing_is_recorded();

}  // namespace invp::cuda
