// invp bench detect: a training step of the detector, or the detections of a picture, on noise that
// is in memory already.
#include <array>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/autograd/node.h"
#include "engine/core/memory.h"
#include "engine/core/random.h"
#include "invp/report/text/table.h"
#include "layers/detection/faster_rcnn.h"
#include "optim/sgd.h"
#include "tools/bench/bench.h"
#include "tools/bench/random_tensors.h"
#include "tools/bench/timing.h"
#include "tools/options/device_options.h"

namespace invp::cli {

namespace {

enum class DetectorWork : bool { kTrain, kInfer };

/// One picture of noise with three objects.
DetectorInput noise(std::int64_t height, std::int64_t width, const Compute& compute) {
  // Left, top, right and bottom as shares of the picture, and the class.
  constexpr std::array<std::array<float, 5>, 3> kObjects = {
      {{0.1F, 0.1F, 0.5F, 0.8F, 6}, {0.45F, 0.3F, 0.95F, 0.9F, 11}, {0.02F, 0.02F, 0.2F, 0.2F, 1}}};
  const std::vector size = {static_cast<float>(height), static_cast<float>(width)};
  std::vector<float> boxes;
  std::vector<std::int32_t> classes;
  for (const auto& [left, top, right, bottom, label] : kObjects) {
    boxes.insert(boxes.end(), {left * size[1], top * size[0], right * size[1], bottom * size[0]});
    classes.push_back(static_cast<std::int32_t>(label));
  }
  const std::vector counts = {static_cast<std::int32_t>(classes.size())};
  const Device device = compute.device;
  const Tensor image = random_tensor({height * width, 3}, compute.seed, 1).to(device);
  return {.images = {.rows = image, .sizes = {{1, height, width}}},
          .pictures = {{.sizes = Tensor::from(size, {1, 2}, device),
                        .objects = Tensor::from(boxes, {1, counts[0], 4}, device),
                        .classes = Tensor::from(classes, {1, counts[0]}, device),
                        .counts = Tensor::from(counts, {1}, device)}}};
}

/// As in a trained network, features are of unit scale and proposals overlap little: otherwise few
/// would be left to pool.
void imitate_training(FasterRcnn& detector, DetectorInput input, std::uint64_t seed) {
  const NoGrad guard;
  input.images.norms.momentum = 1;  // the statistics become this picture's
  detector.features(input.images);
  std::map<std::string, Tensor> parameters;
  for (const auto& [name, tensor] : detector.parameters()) parameters.emplace(name, tensor);
  const auto draw = [&](const char* name, double deviation, std::uint64_t number) {
    const Tensor values = Tensor::empty(parameters.at(name).shape());
    Random random(seed, Purpose::kBenchmark, number);
    for (float& value : values.span<float>())
      value = static_cast<float>(deviation * random.normal());
    parameters.at(name).copy_from(values);
  };
  draw("rpn.deltas.weight", 0.02, 2);
  draw("rpn.objectness.weight", 0.3, 3);
}

std::int64_t count_proposals(FasterRcnn& detector, const DetectorInput& input) {
  const NoGrad guard;
  const RpnOutput output = detector.rpn().forward(detector.features(input.images));
  const Tensor counts = detector.rpn().proposals(output, input.pictures).front().counts;
  return counts.to(kCpu).data<std::int32_t>()[0];
}

class BenchDetect : public Command {
 public:
  CommandText text() const override {
    return {.name = "bench detect",
            .arguments = "[options]",
            .summary = "a training step of the detector, or its detections",
            .description =
                "Times Faster R-CNN R50-C4 on one picture of noise that is in memory already: a\n"
                "whole training step on 512 of 2,000 proposals, or the detections from 1,000.\n",
            .examples =
                "  invp bench detect --size 480,640\n"
                "  invp bench detect --work infer --size 800,1067\n"};
  }

  void declare(Options& options) override {
    options.main_group("Work");
    options.choice("work", work_,
                   {{"train", DetectorWork::kTrain}, {"infer", DetectorWork::kInfer}},
                   "what is timed");
    options.integers("size", size_, {32, 4096},
                     "height and width of the picture, in pixels (480,640, or 800,1067 to infer)");
    options.integer("width", detector_.width, {4, 256}, "channels after the stem");
    options.integer("proposals", proposals_, {0, 100'000},
                    "most per picture; 0: 2,000, or 1,000 to infer");
    options.integer("repeats", repeats_, {1, 1e6}, "measured steps; the median counts");
    options.integer("warmups", warmups_, {0, 1e6}, "steps before them, not measured");
    declare_device(options, device_);
  }

  Results run() override {
    const bool training = work_ == DetectorWork::kTrain;
    using Size = std::vector<std::int64_t>;
    if (size_.empty()) size_ = training ? Size{480, 640} : Size{800, 1067};
    if (size_.size() != 2) throw UsageError("--size takes a height and a width, as in 480,640");
    const Compute compute = start_compute(device_);
    announce(compute);
    detector_.seed = compute.seed;
    if (proposals_ > 0) detector_.rpn.train_after = detector_.rpn.test_after = proposals_;
    FasterRcnn detector(detector_);
    detector.to(compute.device);
    detector.set_compute_type(compute.type);
    const DetectorInput input = noise(size_[0], size_[1], compute);
    return training ? time_step(detector, input, compute) : time_detect(detector, input, compute);
  }

 private:
  Results time_step(FasterRcnn& detector, const DetectorInput& input, const Compute& compute) {
    Sgd::Group all{.hyper = {.lr = 1e-4, .momentum = 0.9, .weight_decay = 1e-4}};
    for (const auto& [name, tensor] : detector.parameters())
      all.parameters.push_back({name, tensor});
    Sgd optimizer({all});
    std::uint64_t step = 0;
    reset_peak_memory(compute.device);
    const Timing timing = measure(repeats(compute), [&] {
      DetectionLosses losses = detector.losses(input, {.seed = compute.seed, .step = step++});
      FasterRcnn::backward(std::move(losses), input.pictures.size());
      optimizer.step();
      optimizer.zero_grad();
    });
    return report("training step", detector, input, compute, timing);
  }

  Results time_detect(FasterRcnn& detector, const DetectorInput& input, const Compute& compute) {
    imitate_training(detector, input, compute.seed);
    detector.train(false);
    reset_peak_memory(compute.device);
    const Timing timing = measure(repeats(compute), [&] { detector.detect(input); });
    return report("detections", detector, input, compute, timing);
  }

  Results report(const char* what, FasterRcnn& detector, const DetectorInput& input,
                 const Compute& compute, const Timing& timing) const {
    const double rate = 1000 / timing.median;
    Results results = timing_results(timing, compute.device);
    results["images_per_second"] = rate;
    results["peak_resident_bytes"] = peak_resident_bytes();
    const std::int64_t proposals = count_proposals(detector, input);
    results["proposals"] = proposals;
    Table table({what, ">proposals", ">median ms", ">min .. max", ">images/s", ">peak memory"});
    table.row({message("R50-C4, width ", detector_.width, ", ", size_[0], "x", size_[1]),
               std::to_string(proposals), format_ms(timing.median), format_spread(timing),
               formatted("%.3g", rate),
               format_bytes(results["peak_memory_bytes"].get<std::int64_t>())});
    std::cout << table.text();
    return results;
  }

  Repeats repeats(const Compute& compute) const {
    return {.device = compute.device, .warmups = warmups_, .measured = repeats_};
  }

  DetectorConfig detector_;
  DetectorWork work_ = DetectorWork::kTrain;
  std::vector<std::int64_t> size_;
  std::int64_t proposals_ = 0;
  int repeats_ = 3;
  int warmups_ = 1;
  DeviceOptions device_;
};

}  // namespace

void add_bench_detect(Commands& commands) {
  commands.push_back(std::make_unique<BenchDetect>());
}

}  // namespace invp::cli
