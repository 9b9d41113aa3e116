// The narrow detector that detectron2 computed (golden/make_detection_model.py), and its pictures.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "engine/files/safetensors.h"
#include "layers/detection/faster_rcnn.h"
#include "layers/exchange.h"
#include "tests/support/temp_folder.h"
#include "tests/support/values.h"

namespace invp::testing {

inline const TensorFile& tiny_file() {
  static const TensorFile file = read_safetensors(golden("detection/tiny.safetensors"));
  return file;
}

inline Tensor tiny(const std::string& name) {
  const Tensor* const found = tiny_file().find(name);
  if (found == nullptr) throw std::runtime_error("the golden file has no tensor " + name);
  return *found;
}

/// The tensors under a prefix, without it.
inline TensorFile tiny_under(const std::string& prefix) {
  TensorFile file;
  for (const auto& [name, tensor] : tiny_file().tensors) {
    if (name.starts_with(prefix)) file.tensors.emplace_back(name.substr(prefix.size()), tensor);
  }
  return file;
}

/// Sixteenth of the usual width, with the golden start weights.
inline std::unique_ptr<FasterRcnn> tiny_detector() {
  auto detector = std::make_unique<FasterRcnn>(DetectorConfig{.width = 4, .stem = 8});
  load_pytorch_state(*detector, tiny_under("weights."), "tiny");
  return detector;
}

/// Pictures `numbers` as one group, padded at the right and the bottom; `flipped` mirrors them.
inline void add_group(DetectorInput& input, const std::vector<int>& numbers,
                      const std::vector<bool>& flipped = {}) {
  std::int64_t height = 0, width = 0, most = 1;
  for (const int number : numbers) {
    const std::string of = "inputs." + std::to_string(number);
    height = std::max(height, tiny(of + ".image").dim(0));
    width = std::max(width, tiny(of + ".image").dim(1));
    most = std::max(most, tiny(of + ".gt_boxes").dim(0));
  }
  const auto count = std::ssize(numbers);
  const Tensor images = Tensor::zeros({count, height, width, 3});
  GroupPictures pictures{.sizes = Tensor::zeros({count, 2}),
                         .objects = Tensor::zeros({count, most, 4}),
                         .classes = Tensor::zeros({count, most}, DType::kI32),
                         .counts = Tensor::zeros({count}, DType::kI32)};
  constexpr std::array kMean = {123.675F, 116.280F, 103.530F};
  constexpr std::array kStd = {58.395F, 57.120F, 57.375F};
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string of = "inputs." + std::to_string(numbers[static_cast<std::size_t>(i)]);
    const bool flip = !flipped.empty() && flipped[static_cast<std::size_t>(i)];
    const Tensor image = tiny(of + ".image"), boxes = tiny(of + ".gt_boxes");
    const std::int64_t h = image.dim(0), w = image.dim(1);
    for (std::int64_t y = 0; y < h; ++y) {
      for (std::int64_t x = 0; x < w; ++x) {
        for (std::int64_t c = 0; c < 3; ++c) {
          const std::int64_t from = flip ? w - 1 - x : x;
          images.data<float>()[((i * height + y) * width + x) * 3 + c] =
              (static_cast<float>(image.data<std::uint8_t>()[(y * w + from) * 3 + c]) -
               kMean[static_cast<std::size_t>(c)]) /
              kStd[static_cast<std::size_t>(c)];
        }
      }
    }
    pictures.sizes.data<float>()[2 * i] = static_cast<float>(h);
    pictures.sizes.data<float>()[2 * i + 1] = static_cast<float>(w);
    pictures.counts.data<std::int32_t>()[i] = static_cast<std::int32_t>(boxes.dim(0));
    for (std::int64_t j = 0; j < boxes.dim(0); ++j) {
      const float* const box = boxes.data<float>() + 4 * j;
      float* const to = pictures.objects.data<float>() + (i * most + j) * 4;
      const auto right = static_cast<float>(w);
      to[0] = flip ? right - box[2] : box[0];
      to[1] = box[1];
      to[2] = flip ? right - box[0] : box[2];
      to[3] = box[3];
      pictures.classes.data<std::int32_t>()[i * most + j] =
          tiny(of + ".gt_classes").data<std::int32_t>()[j];
    }
  }
  const std::vector<MapSize> before = input.images.sizes;
  const Tensor rows = images.view({count * height * width, 3});
  if (input.images.rows.defined()) {
    const std::int64_t old = input.images.rows.dim(0);
    const Tensor both = Tensor::empty({old + rows.dim(0), 3});
    both.slice(0, old).copy_from(input.images.rows);
    both.slice(old, both.dim(0)).copy_from(rows);
    input.images.rows = both;
  } else {
    input.images.rows = rows;
  }
  input.images.sizes.push_back({count, height, width});
  input.pictures.push_back(pictures);
}

/// The experiment's stand-ins for the random samplers. Anchors: of n candidates number floor(k n /
/// m) for k = 0 to m - 1. Regions: the first ones.
inline Samples tiny_sampler(const Tensor& labels, const SampleParams& params) {
  const Tensor host = labels.to(kCpu);
  const std::int64_t pictures = host.dim(0), n = host.dim(1);
  Samples samples{.rows = Tensor::empty({pictures, params.count}, DType::kI32),
                  .counts = Tensor::zeros({pictures, 2}, DType::kI32),
                  .labels = Tensor::empty(host.shape(), DType::kI32)};
  std::ranges::fill(samples.rows.span<std::int32_t>(), -1);
  std::ranges::fill(samples.labels.span<std::int32_t>(), -1);
  for (std::int64_t p = 0; p < pictures; ++p) {
    std::array<std::vector<std::int32_t>, 2> candidates;  // negatives, positives
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int32_t label = host.data<std::int32_t>()[p * n + i];
      if (label >= 0) candidates[label > 0 ? 1 : 0].push_back(static_cast<std::int32_t>(i));
    }
    std::int64_t at = 0;
    for (const std::size_t kind : {1U, 0U}) {
      const auto there = std::ssize(candidates[kind]);
      const std::int64_t most = kind == 1 ? params.most_positives : params.count - at;
      const std::int64_t taken = std::min(there, most);
      for (std::int64_t k = 0; k < taken; ++k) {
        const std::int64_t which = params.purpose == Purpose::kAnchorSample ? k * there / taken : k;
        const std::int32_t row = candidates[kind][static_cast<std::size_t>(which)];
        samples.rows.data<std::int32_t>()[p * params.count + at++] = row;
        samples.labels.data<std::int32_t>()[p * n + row] = static_cast<std::int32_t>(kind);
      }
      samples.counts.data<std::int32_t>()[2 * p + (kind == 1 ? 0 : 1)] =
          static_cast<std::int32_t>(taken);
    }
  }
  return samples;
}

/// The regions that the experiment chose at a step, picture by picture.
inline PictureRegions tiny_regions(const std::string& name, int picture, int step) {
  const std::string of = name + ".s" + std::to_string(step) + "." + std::to_string(picture);
  const Tensor boxes = tiny(of + ".boxes"), classes = tiny(of + ".classes");
  const Tensor found = tiny(of + ".fg_gt");
  PictureRegions regions{.boxes = boxes,
                         .labels = Tensor::empty({boxes.dim(0)}, DType::kI32),
                         .objects = Tensor::zeros(boxes.shape())};
  for (std::int64_t i = 0; i < boxes.dim(0); ++i)
    regions.labels.data<std::int32_t>()[i] = classes.data<std::uint8_t>()[i];
  regions.objects.slice(0, found.dim(0)).copy_from(found);
  return regions;
}

}  // namespace invp::testing
