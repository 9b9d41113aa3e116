#include "engine/core/parallel.h"
#include "engine/ops/detection/box_elements.h"

namespace invp::cpu {

namespace {

template <class Element>
void run(std::int64_t count, const Element& element) {
  constexpr std::int64_t kGrain = 4096;
  parallel_for(0, count, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) element(i);
  });
}

}  // namespace

void for_each_element(Device /*cpu*/, std::int64_t count, const IouElement& element) {
  run(count, element);
}
void for_each_element(Device /*cpu*/, std::int64_t count, const EncodeElement& element) {
  run(count, element);
}
void for_each_element(Device /*cpu*/, std::int64_t count, const DecodeElement& element) {
  run(count, element);
}
void for_each_element(Device /*cpu*/, std::int64_t count, const CandidateElement& element) {
  run(count, element);
}
void for_each_element(Device /*cpu*/, std::int64_t count, const TakeElement& element) {
  run(count, element);
}

}  // namespace invp::cpu
