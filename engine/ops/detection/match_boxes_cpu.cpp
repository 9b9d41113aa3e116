#include "engine/core/parallel.h"
#include "engine/ops/detection/match_problem.h"

namespace invp::cpu {

namespace {

float largest_iou(const MatchProblem& problem, std::int64_t picture, std::int64_t object) {
  const Box own = problem.objects_of(picture)[object];
  const Box* const boxes = problem.boxes_in(picture);
  float highest = 0;
  for (std::int64_t i = 0; i < problem.box_count(picture); ++i) {
    highest = largest(iou(own, boxes[i]), highest);
  }
  return highest;
}

}  // namespace

void match_boxes(Device /*cpu*/, const MatchProblem& problem) {
  const std::int64_t most = problem.most_objects;
  parallel_for(0, problem.pictures * most, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      if (i % most >= problem.object_count(i / most)) continue;
      problem.largest[i] = largest_iou(problem, i / most, i % most);
    }
  });
  constexpr std::int64_t kGrain = 256;
  const std::int64_t n = problem.boxes_of_picture;
  parallel_for(0, problem.pictures * n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) problem.match(i / n, i % n);
  });
}

}  // namespace invp::cpu
