#include <charconv>
#include <cmath>
#include <limits>
#include <pugixml.hpp>

#include "data/detection/voc_boxes.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

/// The largest of VOC has 21 kB. Entities are not expanded and nesting takes no stack, so this
/// bounds memory too.
constexpr std::uint64_t kMostBytes = 4U << 20;

/// A text that is wholly a number; NaN where it is none.
double number_of(std::string_view text) {
  const std::string_view word = trimmed(text);
  double value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  return error == std::errc() && stop == word.data() + word.size() && !word.empty()
             ? value
             : std::numeric_limits<double>::quiet_NaN();
}

std::int32_t side_of(const pugi::xml_node& root, const char* name, const fs::path& file) {
  const char* const text = root.child("size").child_value(name);
  const double side = number_of(text);
  CHECK(side >= 1 && side <= 1e6, file.string(), ": size/", name, " is \"",
        std::string_view(text).substr(0, 100), "\"; the picture's size in pixels was expected");
  return static_cast<std::int32_t>(side);
}

std::int32_t label_of(const std::string& name, const std::string& where) {
  for (std::size_t c = 0; c < kVocClassNames.size(); ++c) {
    if (kVocClassNames[c] == name) return static_cast<std::int32_t>(c);
  }
  fail(where, " is of class \"", name.substr(0, 100),
       "\", which is none of VOC's twenty; did you mean ",
       nearest(name, {kVocClassNames.begin(), kVocClassNames.end()}), "?");
}

ObjectBox box_of(const pugi::xml_node& object, const std::string& where) {
  const pugi::xml_node box = object.child("bndbox");
  CHECK(box, where, " has no bndbox");
  const auto side = [&](const char* name) {
    CHECK(box.child(name), where, ": its bndbox has no ", name);
    return number_of(box.child_value(name));
  };
  const double x0 = side("xmin") - 1, y0 = side("ymin") - 1;
  return {x0, y0, side("xmax") - x0, side("ymax") - y0};
}

}  // namespace

VocAnnotation read_voc_annotation(const fs::path& file) {
  const FileReader reader(file);
  CHECK(reader.size() <= kMostBytes, file.string(), ": has ",
        format_bytes(static_cast<std::int64_t>(reader.size())),
        "; annotations of one picture have ", format_bytes(kMostBytes), " at most");
  std::vector<std::byte> bytes = reader.read(0, reader.size());
  pugi::xml_document document;
  const pugi::xml_parse_result parsed = document.load_buffer_inplace(bytes.data(), bytes.size());
  CHECK(parsed, file.string(), ": at byte ", parsed.offset, ": broken XML: ", parsed.description());
  const pugi::xml_node root = document.child("annotation");
  CHECK(root, file.string(), ": has no element <annotation>; is it an annotation of VOC?");

  VocAnnotation annotation{side_of(root, "width", file), side_of(root, "height", file), {}};
  for (const pugi::xml_node& object : root.children("object")) {
    const auto row = std::ssize(annotation.objects);
    const std::string where = message(file.string(), ": object ", row + 1);
    BoxedObject& added = annotation.objects.emplace_back();
    added.label = label_of(std::string(trimmed(object.child_value("name"))), where);
    added.box = box_of(object, where);
    added.area = added.box.area();
    added.difficult = number_of(object.child_value("difficult")) == 1;
    added.fault = fault_of(added.box, annotation.width, annotation.height);
    added.id = row;
  }
  return annotation;
}

}  // namespace invp
