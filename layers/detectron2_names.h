// What detectron2 calls the tensors of a residual network and of a Faster R-CNN R50-C4 made of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace invp {

/// Of a backbone by itself, as MoCo's and torchvision's converters write it:
/// "layer4.0.bn1.bias" -> "res5.0.conv1.norm.bias", "conv1.weight" -> "stem.conv1.weight",
/// "fc.weight" -> "stem.fc.weight". Nothing for names that no backbone has.
std::optional<std::string> detectron2_backbone_name(std::string_view ours);
std::optional<std::string> name_of_detectron2_backbone(std::string_view theirs);

/// Of the detector, without a head of the backbone:
/// "layer1.0.conv1.weight" -> "backbone.res2.0.conv1.weight",
/// "layer4.0.conv1.weight" -> "roi_heads.res5.0.conv1.weight",
/// "region_norm.bias" -> "roi_heads.res5.norm.bias". Nothing for names that it has not.
std::optional<std::string> detectron2_detector_name(std::string_view ours);
std::optional<std::string> name_of_detectron2_detector(std::string_view theirs);

}  // namespace invp
