#include "layers/detection/detectron2_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/files/numpy_pickle_writer.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "layers/detection/find_detector.h"

namespace invp {
namespace {

constexpr std::string_view kCount = "num_batches_tracked";
constexpr std::string_view kAfter = "running_var";

/// The file's tensors in their order under detectron2's names. A norm without a count gets the
/// largest that there is.
std::vector<std::pair<std::string, Tensor>> renamed(const TensorFile& file, Naming naming) {
  std::int64_t largest = 0;
  for (const auto& [name, tensor] : file.tensors)
    if (name.ends_with(kCount)) largest = std::max(largest, *tensor.data<std::int64_t>());
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : file.tensors) {
    if (name.ends_with(kCount)) continue;
    tensors.emplace_back(name_in_file(naming, name), tensor);
    if (!name.ends_with(kAfter)) continue;
    const std::string norm = name.substr(0, name.size() - kAfter.size());
    const Tensor* there = file.find(norm + std::string(kCount));
    Tensor count = Tensor::empty({}, DType::kI64);
    *count.data<std::int64_t>() = there != nullptr ? *there->data<std::int64_t>() : largest;
    tensors.emplace_back(name_in_file(naming, norm + std::string(kCount)), std::move(count));
  }
  return tensors;
}

}  // namespace

Detectron2Weights to_detectron2(const TensorSource& source, const std::string& prefix) {
  if (holds_detector(source)) {
    const FoundDetector detector = choose_detector(source, prefix);
    return {.tensors = renamed(read_detector(source, detector), Naming::kDetectron2Detector),
            .classes = detector.class_names,
            .what = describe(detector)};
  }
  FoundNetwork network = choose_network(source, prefix);
  network.head = false;
  CHECK(!is_cifar(network.config.arch), source.path(), ": the network in it is a ",
        describe(network), "; detectron2 has no network with a stem for small pictures");
  return {
      .tensors = renamed(read_network(source, network, /*with_head=*/false), Naming::kDetectron2),
      .classes = {},
      .what = describe(network)};
}

void write_detectron2(const std::filesystem::path& path, const Detectron2Weights& weights) {
  PickleEnvelope envelope{
      .under = "model",
      .notes = {{"__author__", std::string("invp")}, {"matching_heuristics", true}}};
  if (!weights.classes.empty()) envelope.notes.emplace_back(kDetectorClasses, weights.classes);
  const std::vector<StoredTensor> stored = stored_tensors(weights.tensors);
  const FillElements fill = elements_of(weights.tensors);
  const std::string end = path.extension().string();
  if (end == ".pkl") return write_numpy_pickle(path, stored, envelope, fill);
  if (end != ".safetensors") return write_pth(path, stored, fill, envelope);
  std::map<std::string, std::string> metadata{{"__author__", "invp"}};
  if (!weights.classes.empty()) metadata[kDetectorClasses] = nlohmann::json(weights.classes).dump();
  write_safetensors(path, stored, metadata, fill);
}

}  // namespace invp
