#include "data/detection/coco_boxes.h"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "data/detection/json_records.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using Record = std::span<const JsonValue>;

/// An object before it is known which picture stands where.
struct Annotation {
  BoxedObject object;
  std::int64_t picture = 0;   ///< its id
  std::int64_t category = 0;  ///< its id
  std::int64_t row = 0;       ///< in the file
};

/// The rows of `ids`, ascending by id, and where each id went.
class Order {
 public:
  Order(const std::vector<std::int64_t>& ids, const std::string& what) : rows_(ids.size()) {
    std::iota(rows_.begin(), rows_.end(), 0);
    std::ranges::stable_sort(rows_, {}, [&](std::size_t row) { return ids[row]; });
    for (std::size_t i = 0; i < rows_.size(); ++i) {
      CHECK(places_.emplace(ids[rows_[i]], i).second, what, ": two have the id ", ids[rows_[i]]);
    }
  }
  const std::vector<std::size_t>& rows() const { return rows_; }
  /// -1 for an unknown id.
  std::int64_t place(std::int64_t id) const {
    const auto found = places_.find(id);
    return found == places_.end() ? -1 : static_cast<std::int64_t>(found->second);
  }

 private:
  std::vector<std::size_t> rows_;
  std::unordered_map<std::int64_t, std::size_t> places_;
};

class CocoReader {
 public:
  CocoReader(const CocoPart& part, const OpenBoxes& open) : part_(part), open_(open) {
    set_.format = BoxFormat::kCoco;
    set_.source = part.annotations;
    set_.split = part.annotations.stem().string();
  }

  DetectionSet read() && {
    std::array lists = {JsonList{"images",
                                 {"id", "width", "height", "file_name"},
                                 [&](Record record, std::int64_t i) { add_picture(record, i); }},
                        JsonList{"annotations",
                                 {"id", "image_id", "category_id", "bbox", "area", "iscrowd"},
                                 [&](Record record, std::int64_t i) { add_annotation(record, i); }},
                        JsonList{"categories", {"id", "name"}, [&](Record record, std::int64_t i) {
                                   add_category(record, i);
                                 }}};
    read_json_lists(part_.annotations, lists);
    for (const JsonList& list : lists) {
      CHECK(list.found, path(), ": has no list \"", list.name,
            "\"; expected is COCO's form with images, annotations and categories");
    }
    CHECK(!set_.pictures.empty(), path(), ": has no images");
    CHECK(!set_.classes.empty(), path(), ": has no categories");
    arrange();
    return std::move(set_);
  }

 private:
  std::string path() const { return part_.annotations.string(); }
  std::string entry(const char* list, std::int64_t index) const {
    return message(path(), ": ", list, '[', index, ']');
  }
  static std::int64_t id_of(const JsonValue& value, const std::string& where, const char* key) {
    CHECK(value.kind == JsonValue::Kind::kInteger, where, " has no ", key,
          " that is a whole number");
    return value.integer;
  }
  /// Lists the fault, or throws it.
  void fault(std::string what, std::string reason) {
    if (!open_.tolerate) throw Error(reason);
    set_.faults.push_back({std::move(what), std::move(reason)});
  }

  void add_picture(Record record, std::int64_t index) {
    const std::string where = entry("images", index);
    BoxedPicture& picture = set_.pictures.emplace_back();
    picture.id = id_of(record[0], where, "id");
    for (const std::size_t side : {1U, 2U}) {
      CHECK(record[side].is_number() && record[side].number >= 1 && record[side].number <= 1e6,
            where, " has no width and height of a picture");
    }
    picture.width = static_cast<std::int32_t>(record[1].number);
    picture.height = static_cast<std::int32_t>(record[2].number);
    CHECK(record[3].kind == JsonValue::Kind::kText, where, " has no file_name");
    picture.name = record[3].text;
  }

  void add_annotation(Record record, std::int64_t index) {
    const std::string where = entry("annotations", index);
    Annotation annotation;
    annotation.row = index;
    annotation.picture = id_of(record[1], where, "image_id");
    annotation.category = id_of(record[2], where, "category_id");
    BoxedObject& object = annotation.object;
    // Without an id an object is named by its place.
    object.id = record[0].kind == JsonValue::Kind::kInteger ? record[0].integer : index;
    const JsonValue& box = record[3];
    CHECK(box.kind == JsonValue::Kind::kNumbers && box.numbers.size() == 4, where,
          " has no bbox of four numbers [x, y, width, height]");
    object.box = {box.numbers[0], box.numbers[1], box.numbers[2], box.numbers[3]};
    object.no_area = !record[4].is_number();
    object.area = object.no_area ? object.box.area() : record[4].number;
    object.difficult = record[5].is_number() && record[5].number != 0;
    annotations_.push_back(annotation);
  }

  void add_category(Record record, std::int64_t index) {
    const std::string where = entry("categories", index);
    set_.class_ids.push_back(id_of(record[0], where, "id"));
    CHECK(record[1].kind == JsonValue::Kind::kText, where, " has no name");
    set_.classes.push_back(record[1].text);
  }

  void arrange() {
    std::vector<std::int64_t> picture_ids;
    for (const BoxedPicture& picture : set_.pictures) picture_ids.push_back(picture.id);
    const Order pictures(picture_ids, path() + ": images");
    const Order classes(set_.class_ids, path() + ": categories");
    DetectionSet sorted = set_;
    for (std::size_t i = 0; i < classes.rows().size(); ++i) {
      sorted.classes[i] = set_.classes[classes.rows()[i]];
      sorted.class_ids[i] = set_.class_ids[classes.rows()[i]];
    }
    for (std::size_t i = 0; i < pictures.rows().size(); ++i)
      sorted.pictures[i] = std::move(set_.pictures[pictures.rows()[i]]);
    set_ = std::move(sorted);
    place_objects(pictures, classes);
    find_pictures();
  }

  /// Each object to its picture, in the file's order.
  void place_objects(const Order& pictures, const Order& classes) {
    for (Annotation& annotation : annotations_) {
      const std::int64_t place = pictures.place(annotation.picture);
      const std::int64_t label = classes.place(annotation.category);
      const std::string name = message("annotation ", annotation.object.id);
      annotation.picture = place < 0 || label < 0 ? -1 : place;
      annotation.object.label = static_cast<std::int32_t>(label);
      if (place < 0) {
        fault(name, message(entry("annotations", annotation.row), " (id ", annotation.object.id,
                            ") is of a picture that \"images\" lacks"));
      } else if (label < 0) {
        fault(name,
              message(entry("annotations", annotation.row), " (id ", annotation.object.id,
                      ") is of category ", annotation.category, ", which \"categories\" lacks"));
      } else {
        ++set_.pictures[static_cast<std::size_t>(place)].objects;
      }
    }
    std::int64_t first = 0;
    for (BoxedPicture& picture : set_.pictures) {
      picture.first_object = first;
      first += std::exchange(picture.objects, 0);
    }
    set_.objects.resize(static_cast<std::size_t>(first));
    for (const Annotation& annotation : annotations_) {
      if (annotation.picture < 0) continue;
      BoxedPicture& picture = set_.pictures[static_cast<std::size_t>(annotation.picture)];
      BoxedObject& object =
          set_.objects[static_cast<std::size_t>(picture.first_object + picture.objects++)];
      object = annotation.object;
      object.fault = fault_of(object.box, picture.width, picture.height);
    }
  }

  void find_pictures() {
    for (BoxedPicture& picture : set_.pictures) {
      picture.folder = part_.pictures.string();
      if (!open_.pictures || fs::is_regular_file(part_.pictures / picture.name)) continue;
      fault(picture.name, message(path(), ": names ", picture.name, " (id ", picture.id,
                                  "), but there is no ", (part_.pictures / picture.name).string()));
    }
  }

  const CocoPart& part_;
  const OpenBoxes& open_;
  DetectionSet set_;
  std::vector<Annotation> annotations_;
};

}  // namespace

DetectionSet open_coco_boxes(const CocoPart& part, const OpenBoxes& open) {
  return CocoReader(part, open).read();
}

}  // namespace invp
