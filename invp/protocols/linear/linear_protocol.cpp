#include "invp/protocols/linear/linear_protocol.h"

namespace invp {

const std::vector<std::pair<std::string, LinearProtocol>>& all_linear_protocols() {
  static const std::vector<std::pair<std::string, LinearProtocol>> all = {
      {"imagenet", LinearProtocol::kImagenet},
      {"places205", LinearProtocol::kPlaces205},
      {"voc07", LinearProtocol::kVoc07},
      {"cifar", LinearProtocol::kCifar}};
  return all;
}

LinearProtocol linear_protocol_for(const std::string& kind) {
  if (kind == "voc") return LinearProtocol::kVoc07;
  if (kind == "places205") return LinearProtocol::kPlaces205;
  if (kind == "cifar10" || kind == "cifar100" || kind == "svhn") return LinearProtocol::kCifar;
  return LinearProtocol::kImagenet;
}

LinearDefaults linear_defaults(LinearProtocol protocol, const std::string& kind) {
  LinearDefaults defaults;
  LinearConfig& config = defaults.config;
  switch (protocol) {
    case LinearProtocol::kImagenet: break;
    case LinearProtocol::kPlaces205:
      config.pooling = TapPooling::kAbout9000;
      config.learning_rate = 3;
      break;
    case LinearProtocol::kVoc07:
      config.pooling = TapPooling::kAbout9000;
      config.learning_rate = 3;
      defaults.augment = "voc-train";
      break;
    case LinearProtocol::kCifar:
      config.init = HeadInit::kFanOut;
      config.milestones = {40, 60, 80};
      config.lr_decay = 0.2;
      defaults.last_tap_only = true;
      defaults.augment = kind == "svhn" ? "linear-svhn" : "linear-cifar";
      defaults.image_size = 32;
      break;
  }
  return defaults;
}

AugmentConfig linear_pipeline(LinearProtocol protocol, const std::string& name, int image_size) {
  const bool small = protocol == LinearProtocol::kCifar;
  AugmentConfig config = augment_preset(name != "none" ? name : small ? "eval-cifar" : "eval-224");
  if (small) config.normalization = kCifarNormalization;
  config.image_size = image_size;
  // Photographs: the shorter side to 256 for a crop of 224, and so in proportion.
  if (!small && config.framing != Framing::kRandomResizedCrop)
    config.resize_shorter = (image_size * 256 + 112) / 224;
  return config;
}

}  // namespace invp
