#include "tools/options/detector_checkpoint.h"

#include <array>

#include "engine/core/text.h"
#include "engine/files/weights.h"
#include "invp/protocols/detection/detect_task.h"
#include "layers/detection/pretrained.h"
#include "layers/exchange.h"
#include "tools/options/checkpoint_network.h"

namespace invp::cli {

void declare_detector(Options& options, DetectorOptions& detector) {
  options.group("Detector");
  declare_weights_prefix(options, detector.weights_prefix);
  options.integer("test-size", detector.test_size, {0, 16384},
                  "length of the shorter side of pictures; 0: as in training, or 800");
  options.integer("max-size", detector.max_size, {0, 32768},
                  "most pixels along the longer side; 0: as in training, or 1333");
  options.integer("regions-at-once", detector.at_once, {1, 65536},
                  "regions that go through the last stage together: fewer take less memory");
  declare_device(options, detector.device);
}

namespace {

/// "800,1333" of a run's checkpoint.
void read_test_size(const TensorSource& source, LoadedDetector& loaded) {
  const auto found = source.metadata().find(kTestSize);
  if (found == source.metadata().end()) return;
  const std::size_t comma = found->second.find(',');
  const auto first = number_in(found->second.substr(0, comma));
  const auto second =
      comma == std::string::npos ? std::nullopt : number_in(found->second.substr(comma + 1));
  CHECK(first && second && *first >= 1 && *first <= 16384 && *second >= 1 && *second <= 32768,
        source.path(), ": ", kTestSize, " is no pair of sizes: '", found->second, "'");
  loaded.short_edge = static_cast<int>(*first);
  loaded.longest = static_cast<int>(*second);
}

}  // namespace

LoadedDetector load_detector(const DetectorOptions& options) {
  LoadedDetector loaded;
  loaded.compute = start_compute(options.device);
  {
    const std::unique_ptr<TensorSource> source = open_told(options.checkpoint);
    read_test_size(*source, loaded);
  }
  const DetectorWeights weights = invp::load_detector(options.checkpoint, options.weights_prefix);
  DetectorConfig config{.width = weights.detector.backbone.config.width,
                        .classes = weights.detector.classes};
  config.regions.at_once = options.at_once;
  loaded.network = std::make_unique<FasterRcnn>(config);
  load_pytorch_state(*loaded.network, weights.tensors, options.checkpoint);
  loaded.network->set_compute_type(loaded.compute.type);
  loaded.network->to(loaded.compute.device);
  loaded.network->train(false);
  loaded.classes = weights.detector.class_names;
  loaded.named = !loaded.classes.empty();
  for (auto c = std::ssize(loaded.classes); c < config.classes; ++c)
    loaded.classes.push_back("class " + std::to_string(c));
  if (options.test_size > 0) loaded.short_edge = options.test_size;
  if (options.max_size > 0) loaded.longest = options.max_size;
  return loaded;
}

}  // namespace invp::cli
