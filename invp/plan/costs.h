// What each part of a training step takes on a given GPU: every constant and every formula of
// `invp plan`, with where it comes from. Nothing here was measured on a card with this program.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "invp/plan/network_size.h"

namespace invp {

/// One kind of GPU, in nodes of eight with a switch between them and one network port each.
struct GpuKind {
  std::string_view name;            ///< as on the command line
  std::string_view title;           ///< "NVIDIA H100 SXM"
  double memory_bytes = 0;          ///< of one GPU
  double ms_per_image = 0;          ///< of a ResNet-50 step, 224 pixels, bf16
  double bytes_per_ms = 0;          ///< read from its memory in a stream
  double search_flops_per_ms = 0;   ///< of similarities, TF32
  double node_bytes_per_ms = 0;     ///< an all-reduce inside a node: bytes / time
  double network_bytes_per_ms = 0;  ///< an all-reduce between nodes
  double cores_per_gpu = 0;         ///< of the processors of its usual machine
};

/// h100, h200, a100.
const std::vector<GpuKind>& gpu_kinds();

inline constexpr int kGpusPerNode = 8;
/// Images a second that one core decodes and augments.
inline constexpr double kLoaderRate = 138;
/// Above so many bytes `--bank auto` parts the bank over the GPUs of a node.
inline constexpr double kReplicatedBankBytes = 12e9;

/// Milliseconds of forward and backward pass and optimizer for `images` on one GPU, computed in
/// `groups` groups one after the other.
double network_ms(const GpuKind& gpu, const NetworkSize& network, double images, double groups);
/// The part of network_ms that is there however few the images are, of one group.
double fixed_ms(const NetworkSize& network);
/// Milliseconds per image of network_ms.
double image_ms(const GpuKind& gpu, const NetworkSize& network);

/// Milliseconds that `gpus` GPUs take to sum `bytes` over all of them.
double all_reduce_ms(const GpuKind& gpu, double bytes, std::int64_t gpus);
/// Milliseconds of exchanging the statistics of `norms` batch norms, forward and backward, over
/// groups of `gpus` GPUs. 0 for groups of one.
double norm_exchange_ms(double norms, std::int64_t gpus);

/// One search of the bank: `images` queries per GPU, `rows` rows in all, parted over `shards` GPUs.
struct SearchSize {
  double images = 0;
  double rows = 0;
  double shards = 1;
  double dim = 128;
};
/// Milliseconds of similarities, selection, propagation and losses.
double search_ms(const GpuKind& gpu, const SearchSize& search);
/// The part of search_ms that grows with the rows: of one row.
double search_ms_per_row(const GpuKind& gpu, const SearchSize& search);
/// Milliseconds in which the shards of a node give each other their answers. 0 for one shard.
double shard_exchange_ms(double shards);
/// Milliseconds of gathering the new rows of a batch of `images` on all GPUs. 0 for one GPU.
double update_ms(double images, double bytes_per_image, std::int64_t gpus);

}  // namespace invp
