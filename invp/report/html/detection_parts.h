// The sections on detections, one source file each.
#pragma once

#include <functional>
#include <map>

#include "data/images/draw_boxes.h"
#include "invp/report/html/detection.h"

namespace invp {

using DetectionParts = std::span<const DetectionPart>;

std::string precision_section(DetectionParts parts);
std::string recall_section(DetectionParts parts);
/// Of the mean over the classes.
std::string mean_recall_chart(DetectionParts parts);

/// Pictures of a set with boxes drawn on them.
class BoxedPictures {
 public:
  explicit BoxedPictures(const DetectionSet& set) : set_(set) {}

  struct Drawn {
    std::string uri;  ///< "data:image/jpeg;base64,..."
    int width = 0, height = 0;
  };
  /// The part of the picture inside `region`, in pixels of the annotations like the boxes, made to
  /// fit into width and height. Gray where the picture cannot be read.
  Drawn draw(std::int64_t picture, const ObjectBox& region, int width, int height,
             std::vector<DrawnBox> boxes);
  /// The whole picture.
  ObjectBox all_of(std::int64_t picture);

  /// How many cannot be read, and why the first; empty if all can.
  std::string unread() const;

 private:
  const Image& load(std::int64_t picture);

  const DetectionSet& set_;
  std::int64_t loaded_ = -1;
  Image image_;
  std::map<std::int64_t, std::string> unread_;
};

std::string beside_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                           const DetectionPageOptions& options);
std::string mistakes_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                             const DetectionPageOptions& options);
std::string misses_section(DetectionParts parts, std::span<BoxedPictures> pictures,
                           const DetectionPageOptions& options);

// Words and boxes that several sections use. Text is not escaped yet.

/// "duplicate", "confused", ...
const char* mistake_word(VerdictKind kind);
/// "dog 0.93"
std::string detection_text(const DetectionPart& part, std::size_t row);
DrawnBox box_of(const DetectionPart& part, std::size_t row);
DrawnBox box_of(const DetectionPart& part, const BoxedObject& object, std::string text);

/// Is the object found by a detection that is shown?
bool is_found(const DetectionPart& part, std::int64_t object);

/// Each part under its name, if there are several.
std::string each_part(DetectionParts parts, const std::function<std::string(std::size_t)>& inside);
/// A cell with a bar that is `share` of it long, and text.
std::string bar_cell(double share, const std::string& text, std::size_t color);

}  // namespace invp
