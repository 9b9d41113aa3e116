// One block an object finds the largest IoU, then one thread a box matches it.
#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/detection/match_problem.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 256;

/// blockIdx.x is the object, .y the picture.
__global__ void __launch_bounds__(kThreads) find_largest(MatchProblem problem) {
  const std::int64_t picture = blockIdx.y;
  if (blockIdx.x >= problem.object_count(picture)) return;
  const Box own = problem.objects_of(picture)[blockIdx.x];
  const Box* const boxes = problem.boxes_in(picture);
  float highest = 0;
  for (std::int64_t i = threadIdx.x; i < problem.box_count(picture); i += kThreads) {
    highest = largest(iou(own, boxes[i]), highest);
  }
  highest = reduce_block(highest, Larger{});
  if (threadIdx.x == 0) problem.largest[picture * problem.most_objects + blockIdx.x] = highest;
}

__global__ void match_each(MatchProblem problem) {
  const std::int64_t n = problem.boxes_of_picture;
  for (std::int64_t i = thread_in_grid(); i < problem.pictures * n; i += threads_in_grid()) {
    problem.match(i / n, i % n);
  }
}

}  // namespace

void match_boxes(Device device, const MatchProblem& problem) {
  const std::int64_t count = problem.pictures * problem.boxes_of_picture;
  if (count == 0) return;
  const Context& gpu = context(device);
  if (problem.most_objects > 0) {
    launch(
        gpu,
        {dim3(static_cast<unsigned>(problem.most_objects), static_cast<unsigned>(problem.pictures)),
         dim3(kThreads)},
        find_largest, problem);
  }
  launch(gpu, grid_for(gpu, count), match_each, problem);
}

}  // namespace invp::cuda
