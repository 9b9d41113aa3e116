// The state of a pretraining run in one safetensors file: network, optimiser, memory bank,
// neighbor graph and where the run stands. Randomness needs no state (engine/core/random.h).
// Tensors:
//   model.NAME       the network's state, torchvision's names and layouts
//   optimizer.NAME   the momentum of each parameter, in the engine's layout
//   bank             (n, d) f32
//   neighbors        (n, k) i32, -1 where unset
// and as metadata the position, the sums of the epoch under way and what the run was started with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "engine/core/tensor.h"
#include "engine/files/tensor_file.h"
#include "invp/run/run_metadata.h"
#include "layers/resnet.h"
#include "optim/sgd.h"

namespace invp {

/// Where a run stands. Exact: sums are stored bit for bit, so that a resumed epoch reports what an
/// uninterrupted one does.
struct RunPosition {
  int epoch = 1;                 ///< the epoch under way, counted from 1
  std::int64_t step = 0;         ///< its steps already taken
  std::int64_t global_step = 0;  ///< steps since the start
  std::int64_t images = 0;       ///< of this epoch, already seen
  double loss_sum = 0;           ///< over those images
  double loss_ins_sum = 0;
  double loss_inv_sum = 0;
  double seconds = 0;         ///< training time of this epoch so far
  double wait_seconds = 0;    ///< of which nothing was done but wait for images
  double best_knn_top1 = -1;  ///< per cent; -1: none yet
  int best_epoch = 0;
  // What the last finished epoch came to, for a run that is asked again when nothing is left to do.
  double last_loss = 0;
  double last_loss_ins = 0;
  double last_loss_inv = 0;
};

/// Everything a checkpoint holds; handles, so that loading fills the run's own tensors.
struct RunState {
  ResNet& network;
  Sgd& optimizer;
  Tensor bank;
  Tensor neighbors;
  RunPosition position;
};

/// Atomic: PATH holds the old checkpoint or the new one, whatever happens meanwhile. Throws Error
/// when it cannot be written.
void save_checkpoint(const std::filesystem::path& path, const RunState& state,
                     const RunIdentity& identity);

/// Throws Error naming the file and the way out when it is not whole, not a checkpoint, or of
/// another run; `state` is then unchanged.
void load_checkpoint(const std::filesystem::path& path, RunState& state,
                     const RunIdentity& identity);

/// Is the file a whole checkpoint, of whichever command? Says why not in `reason`.
bool is_whole_checkpoint(const std::filesystem::path& path, std::string& reason);

/// The network's weights of a file, whatever it is: a checkpoint of ours, a safetensors file or a
/// PyTorch one, with the usual prefixes removed.
TensorFile load_network_weights(const std::filesystem::path& path);

}  // namespace invp
