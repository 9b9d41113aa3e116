// What a pretraining run would take on many GPUs: time by part, memory by part, what limits it, and
// at what size something else would.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "invp/plan/costs.h"
#include "layers/resnet.h"

namespace invp {

enum class BankPlace : std::uint8_t { kAuto, kReplicated, kSharded };

struct PlanSettings {
  std::int64_t images = 0;  ///< of the training set
  std::int64_t gpus = 1;
  std::int64_t batch_size = 128;  ///< of all GPUs together
  std::int64_t bn_groups = 0;     ///< 0: one per GPU
  std::int64_t image_size = 224;
  int neighbors = 4;
  BankPlace bank = BankPlace::kAuto;
  int wire_bytes = 4;        ///< of one gradient between GPUs: 4, or 2 with bf16
  double cores_per_gpu = 0;  ///< for the loader; 0: enough of them
  GpuKind gpu = gpu_kinds().front();
  NetworkConfig network;
};

/// Milliseconds, of the slowest GPU in a whole batch. The parts run one after the other.
struct StepTime {
  double network = 0;     ///< forward, backward, optimizer
  double norms = 0;       ///< exchange of batch norm's statistics
  double all_reduce = 0;  ///< sum of the gradients
  double search = 0;      ///< similarities, selection, propagation, losses
  double exchange = 0;    ///< answers of the bank's shards
  double updates = 0;     ///< new rows of bank and graph
  double data_wait = 0;   ///< what the loader takes longer; 0 if its cores are not known
  double total() const {
    return network + norms + all_reduce + search + exchange + updates + data_wait;
  }
};

/// Bytes on one GPU. Not counted: workspaces, and what is alive for a moment only.
struct GpuMemory {
  double weights = 0;
  double momentum = 0;
  double gradients = 0;    ///< those of the parameters and, over several GPUs, the summed copy
  double activations = 0;  ///< kept between the passes, bf16
  double bank = 0;
  double graph = 0;
  double total() const { return weights + momentum + gradients + activations + bank + graph; }
};

/// A size from which on something no longer holds.
struct Break {
  std::string what;  ///< "search"
  std::string unit;  ///< what the size counts: "images", "GPUs", "batch", "cores per GPU"
  double at = 0;     ///< the largest that is well
  double now = 0;    ///< that of this plan
  std::string then;  ///< what happens beyond, and what helps
  bool passed() const { return now > at; }
};

struct Plan {
  StepTime step_ms;
  GpuMemory memory;
  NetworkSize network;
  std::int64_t batch = 0;           ///< at most the images there are
  std::int64_t images_per_gpu = 0;  ///< of a batch, on the GPU that has most
  std::int64_t shards = 1;          ///< GPUs that the bank is parted over
  std::int64_t norm_span = 1;       ///< GPUs that share one group of batch norm
  double epoch_seconds = 0;
  double images_per_second = 0;
  double loader_cores = 0;    ///< per GPU, to keep up with it
  std::string limit;          ///< "memory", "loader", or the part of a step that takes longest
  std::vector<Break> breaks;  ///< those passed, then the rest, nearest first
};

/// Why there is no such run, and what to change: more GPUs than images in a batch, groups of batch
/// norm that cannot be parted evenly over the GPUs. Empty if there is one.
std::string plan_fault(const PlanSettings& settings);
/// Throws Error with the fault of the settings.
Plan plan_run(const PlanSettings& settings);

/// A figure of the time per epoch against the number of GPUs, for 1.28 million to 10^9 images, as
/// SVG. A batch has 128 images per GPU, but never more than `settings.batch_size`.
std::string plan_picture(const PlanSettings& settings);

}  // namespace invp
