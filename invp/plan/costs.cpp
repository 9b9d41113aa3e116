// Sources, by the names used below. "Published": read there. "Fitted": to published figures.
// "Calculated": from published ones. "Assumed": nobody has checked it.
//
//   MLPerf H100   mlcommons/training_results_v3.0,
//   NVIDIA/results/dgxh100{,_n8,_n64}_ngc23.04_mxnet/
//                 resnet: 7,007 images/s per GPU at 400 images (1 node), 10.86 ms per step at 50
//                 (8 nodes), 9.9 ms at 40 (64 nodes)
//   MLPerf A100   mlcommons/training_results_v2.0, NVIDIA/results/dgxa100_ngc22.04_mxnet/resnet/
//                 result_0.txt: 27,198 images/s, 8 GPUs of 408 images
//   NCCL          v2.28.9-1, src/graph/tuning.cc: latencies
//   nccl 1374     480 GB/s of bus bandwidth inside a node of 8 H100 (NVLS)
//   nccl 2409     400 to 470 GB/s between nodes of 8 H100 with 400 Gb/s each
//   nccl-tests 149  230 GB/s inside a node of 8 A100
//   nccl 1576     192 GB/s between DGX A100 with 8 x 200 Gb/s
//   data sheets   NVIDIA's of H100 SXM (3.35 TB/s, 80 GB, 495 TFLOP/s TF32 dense, 900 GB/s NVLink),
//                 H200 SXM (4.8 TB/s, 141 GB, otherwise as H100) and A100 SXM 80 GB (2.039 TB/s,
//                 156 TFLOP/s TF32 dense, 600 GB/s NVLink); DGX H100 (112 cores), DGX A100 (128
//                 cores)
#include "invp/plan/costs.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace invp {
namespace {

// ResNet-50 at 224 pixels, by which other networks are scaled.
constexpr double kFixedMs = 3.5;           // fitted: MLPerf H100
constexpr double kH100MsPerImage = 0.133;  // fitted: MLPerf H100, one node and eight
// Fitted: MLPerf A100, 408 images in 120.0 ms, of which 3.5 are assumed to be there as on an H100.
constexpr double kA100MsPerImage = (8 * 408 / 27.198 - kFixedMs) / 408;

// Of the data sheets' bandwidth, what a kernel that reads a bank in a stream gets: assumed.
constexpr double kStreamShare = 0.9;
// TFLOP/s TF32 by mma.sync. H100: assumed, 61 % of 495, which takes wgmma. A100, whose own
// instruction mma.sync is: assumed, 80 % of 156.
constexpr double kH100SearchTflops = 300;
constexpr double kA100SearchTflops = 125;

// An all-reduce moves 2 (R - 1) / R times its bytes: bus bandwidth over 1.75 in a node of 8, over 2
// between many nodes. Published figures, divided so. H100 between nodes: calculated, 380 of the 400
// GB/s that the ports have. H200: assumed to be as H100, which has the same links.
constexpr double kH100Node = 480 / 1.75;
constexpr double kH100Network = 380 / 2.0;
constexpr double kA100Node = 230 / 1.75;
constexpr double kA100Network = 192 / 2.0;

constexpr double kGigaPerMs = 1e6;  // 1 GB/s is 1e6 bytes per ms
constexpr double kTeraPerMs = 1e9;  // 1 TB/s, 1 TFLOP/s

constexpr double kNodeLatencyMs = 0.025;     // published: NCCL, NVLS
constexpr double kTreeLevelMs = 0.018;       // published: NCCL, NET, per level of a tree
constexpr double kNormLatencyMs = 0.0132;    // calculated: 24 bytes per channel inside a node
constexpr double kNormTreeLevelMs = 0.0052;  // calculated: the same, per level between nodes
constexpr double kShardExchangeMs = 0.1;     // calculated: 5.6 MB per GPU and step inside a node
constexpr double kUpdateLatencyMs = 0.03;    // calculated
constexpr double kUpdateBytesPerMs = 380e6;  // calculated: an all-gather between nodes

// Selection, propagation, losses and gradient of 128 images on an H100: calculated from their
// bytes, so it goes with the bandwidth of the memory.
constexpr double kObjectiveMs = 0.25;
constexpr double kObjectiveImages = 128;

/// Levels up and down a binary tree of `nodes` nodes.
double tree_levels(std::int64_t gpus) {
  const auto nodes = static_cast<std::uint64_t>((gpus + kGpusPerNode - 1) / kGpusPerNode);
  return 2 * static_cast<double>(std::bit_width(nodes - 1));
}

const NetworkSize& resnet50() {
  static const NetworkSize size =
      size_of(NetworkConfig{.arch = Arch::kResNet50, .head = HeadKind::kMlp}, 224);
  return size;
}

}  // namespace

const std::vector<GpuKind>& gpu_kinds() {
  static const GpuKind h100{.name = "h100",
                            .title = "NVIDIA H100 SXM",
                            .memory_bytes = 80e9,
                            .ms_per_image = kH100MsPerImage,
                            .bytes_per_ms = kStreamShare * 3.35 * kTeraPerMs,
                            .search_flops_per_ms = kH100SearchTflops * kTeraPerMs,
                            .node_bytes_per_ms = kH100Node * kGigaPerMs,
                            .network_bytes_per_ms = kH100Network * kGigaPerMs,
                            .cores_per_gpu = 112 / 8.0};
  static const std::vector<GpuKind> kinds = [] {
    GpuKind h200 = h100;  // A network's step is assumed to be no faster than on an H100.
    h200.name = "h200";
    h200.title = "NVIDIA H200 SXM";
    h200.memory_bytes = 141e9;
    h200.bytes_per_ms = kStreamShare * 4.8 * kTeraPerMs;
    const GpuKind a100{.name = "a100",
                       .title = "NVIDIA A100 SXM 80 GB",
                       .memory_bytes = 80e9,
                       .ms_per_image = kA100MsPerImage,
                       .bytes_per_ms = kStreamShare * 2.039 * kTeraPerMs,
                       .search_flops_per_ms = kA100SearchTflops * kTeraPerMs,
                       .node_bytes_per_ms = kA100Node * kGigaPerMs,
                       .network_bytes_per_ms = kA100Network * kGigaPerMs,
                       .cores_per_gpu = 128 / 8.0};
    return std::vector{h100, h200, a100};
  }();
  return kinds;
}

// The steps between kernels, which is what a small batch takes, go with the number of layers.
double fixed_ms(const NetworkSize& network) {
  return kFixedMs * static_cast<double>(network.convolutions) /
         static_cast<double>(resnet50().convolutions);
}

// A layer is bound by its products or by its bytes. A network with a smaller share of products than
// ResNet-50 is taken to be bound by its bytes: assumed.
double image_ms(const GpuKind& gpu, const NetworkSize& network) {
  return gpu.ms_per_image * std::max(network.forward_flops / resnet50().forward_flops,
                                     network.kept_elements / resnet50().kept_elements);
}

double network_ms(const GpuKind& gpu, const NetworkSize& network, double images, double groups) {
  return groups * fixed_ms(network) + images * image_ms(gpu, network);
}

double all_reduce_ms(const GpuKind& gpu, double bytes, std::int64_t gpus) {
  if (gpus == 1) return 0;
  if (gpus <= kGpusPerNode) return kNodeLatencyMs + bytes / gpu.node_bytes_per_ms;
  return kNodeLatencyMs + tree_levels(gpus) * kTreeLevelMs + bytes / gpu.network_bytes_per_ms;
}

double norm_exchange_ms(double norms, std::int64_t gpus) {
  if (gpus == 1) return 0;
  const double between = gpus <= kGpusPerNode ? 0 : tree_levels(gpus) * kNormTreeLevelMs;
  return 2 * norms * (kNormLatencyMs + between);
}

// A shard reads its rows once for all queries of the node, and multiplies them with each: sharding
// saves reading, not arithmetic.
double search_ms_per_row(const GpuKind& gpu, const SearchSize& search) {
  const double reading = 4 * search.dim / search.shards / gpu.bytes_per_ms;
  const double arithmetic = 2 * search.dim * search.images / gpu.search_flops_per_ms;
  return std::max(reading, arithmetic);
}

double search_ms(const GpuKind& gpu, const SearchSize& search) {
  const double objective = kObjectiveMs * search.images / kObjectiveImages *
                           gpu_kinds().front().bytes_per_ms / gpu.bytes_per_ms;
  return objective + search.rows * search_ms_per_row(gpu, search);
}

double shard_exchange_ms(double shards) {
  return shards > 1 ? kShardExchangeMs : 0;
}

double update_ms(double images, double bytes_per_image, std::int64_t gpus) {
  return gpus == 1 ? 0 : kUpdateLatencyMs + images * bytes_per_image / kUpdateBytesPerMs;
}

}  // namespace invp
