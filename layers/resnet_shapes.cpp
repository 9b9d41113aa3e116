#include "layers/resnet_shapes.h"

namespace invp {
namespace {

class Shapes {
 public:
  void conv_norm(const std::string& conv, const std::string& norm, std::int64_t in,
                 std::int64_t out, std::int64_t kernel) {
    all_.push_back({conv + ".weight", {out, in, kernel, kernel}});
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
      all_.push_back({norm + part, {out}});
  }
  /// A residual block at `place`; returns the channels it puts out.
  std::int64_t block(const std::string& place, std::int64_t in, std::int64_t width, bool bottleneck,
                     bool first_of_strided_stage) {
    const std::int64_t out = bottleneck ? 4 * width : width;
    if (bottleneck) {
      conv_norm(place + "conv1", place + "bn1", in, width, 1);
      conv_norm(place + "conv2", place + "bn2", width, width, 3);
      conv_norm(place + "conv3", place + "bn3", width, out, 1);
    } else {
      conv_norm(place + "conv1", place + "bn1", in, width, 3);
      conv_norm(place + "conv2", place + "bn2", width, width, 3);
    }
    if (first_of_strided_stage || in != out)
      conv_norm(place + "downsample.0", place + "downsample.1", in, out, 1);
    return out;
  }
  std::vector<NamedShape> take() { return std::move(all_); }

 private:
  std::vector<NamedShape> all_;
};

void linear(std::vector<NamedShape>& shapes, const std::string& name, std::int64_t in,
            std::int64_t out) {
  shapes.push_back({name + ".weight", {out, in}});
  shapes.push_back({name + ".bias", {out}});
}

}  // namespace

std::vector<NamedShape> backbone_shapes(const NetworkConfig& config) {
  Shapes shapes;
  shapes.conv_norm("conv1", "bn1", 3, config.width, is_cifar(config.arch) ? 3 : 7);
  std::int64_t channels = config.width;
  for (std::size_t stage = 0; stage < 4; ++stage) {
    const std::int64_t width = static_cast<std::int64_t>(config.width) << stage;
    for (int i = 0; i < stage_depths(config.arch).at(stage); ++i) {
      const std::string place = "layer" + std::to_string(stage + 1) + '.' + std::to_string(i) + '.';
      channels =
          shapes.block(place, channels, width, has_bottlenecks(config.arch), i == 0 && stage > 0);
    }
  }
  return shapes.take();
}

std::vector<NamedShape> head_shapes(const NetworkConfig& config) {
  std::vector<NamedShape> shapes;
  const std::int64_t features = 8LL * config.width * (has_bottlenecks(config.arch) ? 4 : 1);
  if (config.head == HeadKind::kMlp) linear(shapes, "fc.0", features, features);
  linear(shapes, config.head == HeadKind::kMlp ? "fc.2" : "fc", features, config.dim);
  return shapes;
}

}  // namespace invp
