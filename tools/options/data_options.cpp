#include "tools/options/data_options.h"

#include <iostream>
#include <unordered_set>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/ops/image/decode_jpegs.h"

namespace invp::cli {

void declare_data(Options& options, DataOptions& data) {
  // A run compares the images of the data set themselves, not their place or format.
  options.group("Data", Decides::kNothing);
  options
      .text("data", data.path, "PATH",
            "folder or file of the data set; not needed with --format synthetic")
      .needed();
  options
      .choice("format", data.format, dataset_formats(),
              "form of the data set; auto: by what is at PATH")
      .common();
  options.integer("workers", data.workers, {0, 1024},
                  "threads that decode and augment; 0: one per CPU thread");
  declare_max_pixels(options, data.max_pixels);
  options.group("Synthetic data set", Decides::kWeights);
  options.integer("synthetic-train", data.synthetic_train, {1, 2e9}, "training images");
  options.integer("synthetic-val", data.synthetic_val, {0, 2e9}, "validation images")
      .does_not_decide();
  options.integer("synthetic-classes", data.synthetic_classes, {2, 100}, "classes");
  options.integer("synthetic-size", data.synthetic_size, {8, 1024}, "height and width, in pixels");
  options.integer("synthetic-seed", data.synthetic_seed, {0, 9e18}, "of everything that is drawn");
}

void declare_max_pixels(Options& options, std::int64_t& max_pixels) {
  options.integer("max-pixels", max_pixels, {1, 1e10},
                  "largest picture that is decoded, in pixels: width times height; larger ones are "
                  "left out before they take memory");
}

void declare_augment_on(Options& options, DataOptions& data) {
  // It gives the same bits.
  options
      .choice("augment-on", data.augment_on, {"auto", "cpu", "device"},
              "where images are resized, colored and blurred, with the same result")
      .notes({"on the GPU, if there is one", "in the worker threads", "on --device"})
      .does_not_decide();
}

std::optional<AugmentOn> augment_on(const DataOptions& data) {
  if (data.augment_on == "auto") return std::nullopt;
  return data.augment_on == "cpu" ? AugmentOn::kWorkers : AugmentOn::kDevice;
}

void declare_decode_on(Options& options, DataOptions& data) {
  options
      .choice("decode-on", data.decode_on, {"workers", "device"},
              "where JPEG files are decoded; pixels differ by a gray level or two")
      .notes({"in the worker threads", "baseline files on the GPU, by nvJPEG"})
      .decides();
}

DecodeOn decode_on(const DataOptions& data, const AugmentConfig& augment, Device device) {
  if (data.decode_on == "workers") return DecodeOn::kWorkers;
  const std::string obstacle = data.augment_on == "cpu"
                                   ? "--augment-on cpu needs the pixels in the workers"
                               : augment.dct_scaling ? "--dct-scaling only works in the workers"
                                                     : jpeg_obstacle(device);
  if (!obstacle.empty())
    throw UsageError(message("--decode-on device: ", obstacle, "; use --decode-on workers"));
  return DecodeOn::kDevice;
}

DataSource data_source(const DataOptions& data) {
  if (data.path.empty() && data.format != "synthetic") {
    throw UsageError("--data PATH is missing: where the images are; --format synthetic needs none");
  }
  set_default_max_pixels(data.max_pixels);
  DataSource source{.path = data.path, .format = data.format};
  source.synthetic = {.classes = data.synthetic_classes,
                      .size = data.synthetic_size,
                      .seed = static_cast<std::uint64_t>(data.synthetic_seed)};
  source.synthetic_train = data.synthetic_train;
  source.synthetic_val = data.synthetic_val;
  return source;
}

int worker_count(const DataOptions& data) {
  return data.workers > 0 ? data.workers : num_threads();
}

void tell_left_out(const Dataset& set, std::string_view split) {
  if (!set.left_out().empty()) std::cerr << split << ": left out: " << set.left_out() << '\n';
  // Every number up to the largest label is a class, and gets an output of a classifier.
  constexpr std::int64_t kSuspicious = 100;
  std::unordered_set<std::int64_t> labels;
  for (std::int64_t i = 0; i < set.size(); ++i) labels.insert(set.label(i));
  if (set.has_labels() && std::ssize(set.classes()) > kSuspicious * std::ssize(labels)) {
    std::cerr << split << ": only " << labels.size() << " of its " << set.classes().size()
              << " classes occur; is a label wrong?\n";
  }
}

}  // namespace invp::cli
