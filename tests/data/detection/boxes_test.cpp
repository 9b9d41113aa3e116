// Devkits of VOC and files of COCO, whole and broken, as detection reads them.
#include <gmock/gmock.h>

#include <cmath>

#include "data/detection/detection_set.h"
#include "data/detection/voc_boxes.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

std::string object_xml(const std::string& name, const std::string& sides, bool difficult = false) {
  return "<object><name>" + name + "</name><difficult>" + (difficult ? "1" : "0") +
         "</difficult><part><name>head</name><bndbox><xmin>3</xmin></bndbox></part><bndbox>" +
         sides + "</bndbox></object>";
}
std::string sides(const std::string& xmin, const std::string& ymin, const std::string& xmax,
                  const std::string& ymax) {
  return "<xmin>" + xmin + "</xmin><ymin>" + ymin + "</ymin><xmax>" + xmax + "</xmax><ymax>" +
         ymax + "</ymax>";
}
std::string annotation(const std::string& objects) {
  return "<annotation><size><width>50</width><height>40</height><depth>3</depth></size>" + objects +
         "</annotation>";
}

class Devkit : public TempFolder {
 public:
  void list(const std::string& year, const std::string& split, const std::string& ids) const {
    write("VOCdevkit/VOC" + year + "/ImageSets/Main/" + split + ".txt", ids);
  }
  void picture(const std::string& year, const std::string& id, const std::string& xml) const {
    write("VOCdevkit/VOC" + year + "/JPEGImages/" + id + ".jpg", "x");
    write("VOCdevkit/VOC" + year + "/Annotations/" + id + ".xml", xml);
  }
};

TEST(VocBoxes, CountFromOneAndIncludeTheLastPixel) {
  const Devkit kit;
  kit.picture("2007", "000005",
              annotation(object_xml("dog", sides("11", "6", "30", "40")) +
                         object_xml("person", sides("1", "1", "45.70000076293945", "9"), true)));
  kit.list("2007", "test", "000005\n");
  const DetectionSet set = open_boxes(kit.path(), {.split = "test"});
  ASSERT_EQ(set.pictures.size(), 1u);
  EXPECT_EQ(set.split, "2007_test");
  EXPECT_EQ(set.pictures[0].width, 50);
  ASSERT_EQ(set.objects.size(), 2u);
  EXPECT_EQ(set.objects[0].box, (ObjectBox{10, 5, 20, 35}));
  EXPECT_EQ(set.classes[static_cast<std::size_t>(set.objects[0].label)], "dog");
  EXPECT_FALSE(set.objects[0].difficult);
  EXPECT_TRUE(set.objects[1].difficult);
  EXPECT_EQ(set.objects[1].box.right(), 45.70000076293945);
  EXPECT_TRUE(std::filesystem::exists(set.picture_path(0)));
}

TEST(VocBoxes, TrainingTakesEveryYearsTrainval) {
  const Devkit kit;
  const std::string xml = annotation(object_xml("cow", sides("1", "1", "5", "5")));
  for (const auto& [year, id] :
       {std::pair{"2007", "000001"}, {"2012", "2008_000001"}, {"2007", "000002"}})
    kit.picture(year, id, xml);
  kit.list("2012", "trainval", "2008_000001\n");
  kit.list("2007", "trainval", "000001\n");
  kit.list("2007", "test", "000002\n");
  const DetectionSet train = open_boxes(kit.path(), {.split = "train"});
  EXPECT_EQ(train.split, "2007_trainval+2012_trainval");
  ASSERT_EQ(train.pictures.size(), 2u);
  EXPECT_EQ(train.pictures[1].name, "2008_000001");
  EXPECT_EQ(open_boxes(kit.path(), {.split = "test"}).pictures[0].name, "000002");
  EXPECT_EQ(open_boxes(kit.path(), {.split = "2012_trainval"}).pictures.size(), 1u);
  EXPECT_THAT(error_of([&] { open_boxes(kit.path(), {.split = "2012_test"}); }),
              AllOf(HasSubstr("no split \"2012_test\""), HasSubstr("2007_test")));
  EXPECT_THAT(box_splits(kit.path(), "voc"), ElementsAre("train", "test"));
}

TEST(VocBoxes, ListsThatNameWhatIsMissing) {
  const Devkit kit;
  kit.picture("2007", "000001", annotation(""));
  kit.list("2007", "test", "000001\n000002\n");
  const auto open = [&](bool tolerate) {
    return open_boxes(kit.path(), {.split = "test", .tolerate = tolerate});
  };
  EXPECT_THAT(error_of([&] { open(false); }),
              AllOf(HasSubstr("test.txt: line 2"), HasSubstr("000002.xml")));
  EXPECT_EQ(open(true).faults.size(), 1u);
  EXPECT_EQ(open(true).pictures.size(), 1u);
  kit.write("VOCdevkit/VOC2007/Annotations/000002.xml", annotation(""));
  EXPECT_THAT(error_of([&] { open(false); }), HasSubstr("000002.jpg"));
  kit.list("2007", "test", "000001\n000001\n");
  EXPECT_THAT(error_of([&] { open(false); }), HasSubstr("second time"));
}

TEST(VocBoxes, BrokenAnnotationsAreNamed) {
  const TempFolder folder;
  const auto says = [&](const std::string& xml) {
    return error_of([&] { read_voc_annotation(folder.write("a.xml", xml)); });
  };
  EXPECT_THAT(says("<annotation><size>"), AllOf(HasSubstr("a.xml"), HasSubstr("broken XML")));
  EXPECT_THAT(says(""), HasSubstr("a.xml"));
  EXPECT_THAT(says("<html></html>"), HasSubstr("no element <annotation>"));
  EXPECT_THAT(says("<annotation></annotation>"), HasSubstr("size/width"));
  EXPECT_THAT(says(annotation(object_xml("dgo", sides("1", "1", "2", "2")))),
              AllOf(HasSubstr("object 1"), HasSubstr("\"dgo\""), HasSubstr("did you mean dog")));
  EXPECT_THAT(says(annotation("<object><name>dog</name></object>")), HasSubstr("no bndbox"));
  EXPECT_THAT(says(annotation(object_xml("dog", "<xmin>1</xmin>"))), HasSubstr("no ymin"));
  EXPECT_THAT(says(std::string(5U << 20, ' ')), HasSubstr("5"));
  // A name that is all of the file is neither compared with others nor told.
  const std::string endless = says(annotation(object_xml(std::string(3U << 20, 'x'), "")));
  EXPECT_THAT(endless, HasSubstr("none of VOC's twenty"));
  EXPECT_LT(endless.size(), 1000u);
}

TEST(VocBoxes, BombsOfEntitiesAndDepthTakeNoMemory) {
  const TempFolder folder;
  std::string bomb = "<!DOCTYPE a [<!ENTITY l0 \"lol\">";
  for (int i = 1; i < 30; ++i) {
    bomb += "<!ENTITY l" + std::to_string(i) + " \"";
    for (int k = 0; k < 10; ++k) bomb += "&l" + std::to_string(i - 1) + ";";
    bomb += "\">";
  }
  bomb += "]>" + annotation(object_xml("&l29;", sides("1", "1", "2", "2")));
  EXPECT_THAT(error_of([&] { read_voc_annotation(folder.write("a.xml", bomb)); }),
              HasSubstr("&l29;"));
  std::string deep;
  for (int i = 0; i < 400'000; ++i) deep += "<a>";
  EXPECT_THAT(error_of([&] { read_voc_annotation(folder.write("a.xml", deep)); }),
              HasSubstr("broken XML"));
}

TEST(VocBoxes, BadBoxesAreKnown) {
  const TempFolder folder;
  const auto fault = [&](const std::string& box) {
    return read_voc_annotation(folder.write("a.xml", annotation(object_xml("dog", box))))
        .objects[0]
        .fault;
  };
  EXPECT_EQ(fault(sides("1", "1", "50", "40")), BoxFault::kNone);
  EXPECT_EQ(fault(sides("1", "1", "51", "40")), BoxFault::kReachesOut);
  EXPECT_EQ(fault(sides("51", "1", "60", "40")), BoxFault::kOutside);
  EXPECT_EQ(fault(sides("7", "1", "6", "40")), BoxFault::kEmpty);
  EXPECT_EQ(fault(sides("nan", "1", "6", "40")), BoxFault::kNotFinite);
  EXPECT_EQ(fault(sides("x", "1", "6", "40")), BoxFault::kNotFinite);
}

constexpr const char* kCoco = R"({"info": {"a": [1, {"images": []}]},
  "images": [{"id": 9, "width": 50, "height": 40, "file_name": "b.jpg"},
             {"file_name": "a.jpg", "license": {"id": 4}, "height": 40, "width": 50, "id": 3}],
  "annotations": [
    {"id": 1, "image_id": 9, "category_id": 18, "bbox": [1.5, 2, 3, 4], "area": 7, "iscrowd": 0,
     "segmentation": [[1, 2, 3, 4, 5, 6]]},
    {"id": 2, "image_id": 3, "category_id": 1, "bbox": [0, 0, 50, 40], "iscrowd": 1,
     "segmentation": {"counts": [1, 2], "size": [3, 4]}},
    {"id": 3, "image_id": 9, "category_id": 1, "bbox": [NaN, 0, -Infinity, 1], "area": 3, "iscrowd": 0}],
  "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "NaN person"}]})";

std::string with(std::string text, const std::string& before, const std::string& after) {
  const std::size_t at = text.find(before);
  EXPECT_NE(at, std::string::npos) << before;
  return text.replace(at, before.size(), after);
}

TEST(CocoBoxes, ComeInTheOrderOfTheIds) {
  const TempFolder folder;
  folder.write("annotations/instances_val2017.json", kCoco);
  folder.write("val2017/a.jpg", "x");
  folder.write("val2017/b.jpg", "x");
  const DetectionSet set = open_boxes(folder.path(), {.split = "val"});
  EXPECT_EQ(set.format, BoxFormat::kCoco);
  EXPECT_THAT(set.classes, ElementsAre("NaN person", "dog"));
  EXPECT_THAT(set.class_ids, ElementsAre(1, 18));
  ASSERT_EQ(set.pictures.size(), 2u);
  EXPECT_EQ(set.pictures[0].id, 3);
  EXPECT_TRUE(std::filesystem::exists(set.picture_path(0)));
  ASSERT_EQ(set.objects_of(1).size(), 2u);
  EXPECT_EQ(set.objects_of(1)[0].box, (ObjectBox{1.5, 2, 3, 4}));
  EXPECT_EQ(set.objects_of(1)[0].area, 7);
  EXPECT_EQ(set.objects_of(1)[0].label, 1);
  EXPECT_EQ(set.objects_of(1)[1].fault, BoxFault::kNotFinite);
  EXPECT_TRUE(set.objects_of(0)[0].difficult);
  EXPECT_TRUE(set.objects_of(0)[0].no_area);
  EXPECT_EQ(set.objects_of(0)[0].area, 2000);
  EXPECT_EQ(resolve_format({.path = folder.path()}), "coco");
  const auto pictures = open_dataset({.path = folder.path()}, "val");
  EXPECT_EQ(pictures->size(), 2);
  EXPECT_FALSE(pictures->has_labels());
}

TEST(CocoBoxes, SayWhatIsWrong) {
  const TempFolder folder;
  const auto says = [&](const std::string& json) {
    return error_of([&] {
      open_boxes(folder.write("instances_val.json", json), {.split = "val", .pictures = false});
    });
  };
  EXPECT_THAT(says(std::string(kCoco).substr(0, 500)),
              AllOf(HasSubstr("instances_val.json"), HasSubstr("at byte 5")));
  EXPECT_THAT(says("[1]"), HasSubstr("no list \"images\""));
  EXPECT_THAT(says(with(kCoco, "\"image_id\": 3", "\"image_id\": 4")),
              AllOf(HasSubstr("annotations[1] (id 2)"), HasSubstr("\"images\" lacks")));
  EXPECT_THAT(says(with(kCoco, "\"category_id\": 18", "\"category_id\": 2")),
              AllOf(HasSubstr("annotations[0]"), HasSubstr("category 2")));
  EXPECT_THAT(says(with(kCoco, "\"id\": 9", "\"id\": 3")), HasSubstr("images: two have the id 3"));
  EXPECT_THAT(says(with(kCoco, "[1.5, 2, 3, 4]", "[1.5, 2, 3]")),
              HasSubstr("annotations[0] has no bbox"));
  const std::string missing =
      error_of([&] { open_boxes(folder.write("instances_val.json", kCoco), {.split = "val"}); });
  EXPECT_THAT(missing, HasSubstr("there is no"));
}

TEST(CocoBoxes, NumbersThatJsonLacksAreFoundAcrossPieces) {
  // Pieces end every MiB: a number that is none stands at each place near an end.
  const TempFolder folder;
  for (const int shift : {-20, -17, -16, -15, -9, -8, -3, -2, -1, 0, 1}) {
    const std::string text = with(kCoco, "{\"info\"", "{\"pad\": \"\", \"info\"");
    const std::size_t at = text.find("NaN, 0");
    const std::string pad(static_cast<std::size_t>((1 << 20) + shift) - at, 'p');
    const auto file =
        folder.write("instances_val.json", with(text, "\"pad\": \"", "\"pad\": \"" + pad));
    const DetectionSet set = open_boxes(file, {.split = "val", .pictures = false});
    EXPECT_EQ(set.objects_of(1)[1].fault, BoxFault::kNotFinite) << shift;
    EXPECT_EQ(set.classes[0], "NaN person");
  }
}

}  // namespace
}  // namespace invp
