// A CUDA graph of what a function queues on its GPU's stream.
#pragma once

#include <functional>
#include <string>

#include "engine/core/cuda_context.h"

namespace invp::cuda {

class Graph {
 public:
  /// Captures the work: calls it once, and the GPU does none of it. Throws Error naming the
  /// operation where the work does what cannot be captured (waits, uploads).
  Graph(Device device, const std::function<void()>& work);
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Queues the captured work.
  void launch() const;

 private:
  Context& gpu_;
  cudaGraphExec_t graph_ = nullptr;
};

/// Why the environment forbids capturing; empty if it does not.
std::string why_nothing_is_captured();

}  // namespace invp::cuda
