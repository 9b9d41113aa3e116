#include "invp/protocols/detection/detector_batch.h"

#include <algorithm>

namespace invp {

namespace {

/// Rows of all groups, one after another.
Tensor joined(const std::vector<BoxedGroup>& groups, std::int64_t rows, Device device) {
  const MemoryScope scope(MemoryUse::kData);
  if (groups.size() == 1) return groups.front().images.to(device).view({rows, 3});
  const Tensor all = Tensor::empty({rows, 3}, DType::kF32, device);
  std::int64_t first = 0;
  for (const BoxedGroup& group : groups) {
    const std::int64_t end = first + group.images.numel() / 3;
    all.slice(first, end).copy_from(group.images.view({end - first, 3}));
    first = end;
  }
  return all;
}

GroupPictures pictures_of(const BoxedGroup& group, Device device) {
  const auto count = std::ssize(group.views);
  std::int64_t most = 1;
  for (const BoxedView& view : group.views) {
    if (view.boxes.defined()) most = std::max(most, view.boxes.dim(0));
  }
  GroupPictures of{.sizes = Tensor::empty({count, 2}),
                   .objects = Tensor::zeros({count, most, 4}),
                   .classes = Tensor::zeros({count, most}, DType::kI32),
                   .counts = Tensor::zeros({count}, DType::kI32)};
  for (std::int64_t i = 0; i < count; ++i) {
    const BoxedView& view = group.views[static_cast<std::size_t>(i)];
    of.sizes.data<float>()[2 * i] = static_cast<float>(view.height);
    of.sizes.data<float>()[2 * i + 1] = static_cast<float>(view.width);
    if (!view.boxes.defined() || view.boxes.dim(0) == 0) continue;
    const std::int64_t objects = view.boxes.dim(0);
    of.counts.data<std::int32_t>()[i] = static_cast<std::int32_t>(objects);
    of.objects.slice(i, i + 1).view({most, 4}).slice(0, objects).copy_from(view.boxes);
    of.classes.slice(i, i + 1).view({most}).slice(0, objects).copy_from(view.labels);
  }
  return {.sizes = of.sizes.to(device),
          .objects = of.objects.to(device),
          .classes = of.classes.to(device),
          .counts = of.counts.to(device)};
}

}  // namespace

DetectorInput detector_input(const std::vector<BoxedGroup>& groups, const GroupNorms& norms,
                             Device device) {
  DetectorInput input{.images = {.norms = norms}};
  for (const BoxedGroup& group : groups) {
    const Shape& shape = group.images.shape();
    input.images.sizes.push_back({shape[0], shape[1], shape[2]});
    input.pictures.push_back(pictures_of(group, device));
  }
  input.images.rows = joined(groups, rows_of(input.images.sizes), device);
  return input;
}

}  // namespace invp
