#include "engine/core/cuda_launch.cuh"
#include "engine/ops/detection/box_elements.h"

namespace invp::cuda {

namespace {

template <class Element>
__global__ void run_elements(std::int64_t count, Element element) {
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) element(i);
}

template <class Element>
void run(Device device, std::int64_t count, const Element& element) {
  if (count == 0) return;
  const Context& gpu = context(device);
  launch(gpu, grid_for(gpu, count), run_elements<Element>, count, element);
}

}  // namespace

void for_each_element(Device device, std::int64_t count, const IouElement& element) {
  run(device, count, element);
}
void for_each_element(Device device, std::int64_t count, const EncodeElement& element) {
  run(device, count, element);
}
void for_each_element(Device device, std::int64_t count, const DecodeElement& element) {
  run(device, count, element);
}
void for_each_element(Device device, std::int64_t count, const CandidateElement& element) {
  run(device, count, element);
}
void for_each_element(Device device, std::int64_t count, const TakeElement& element) {
  run(device, count, element);
}

}  // namespace invp::cuda
