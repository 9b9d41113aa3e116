// Lists as editors, spreadsheets and scripts write them.
#include <gmock/gmock.h>

#include "data/sets/file_list.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Lists : public ::testing::Test {
 protected:
  Lists() { write_pictures(folder_, {"a.jpg", "b c.jpg", "d,e.jpg", "x/f.jpg"}); }

  std::unique_ptr<Dataset> open(std::string_view content) {
    return open_file_list(folder_.write("train.txt", content), folder_.path());
  }
  std::vector<std::string> paths(std::string_view content) {
    const auto set = open(content);
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < set->size(); ++i)
      names.push_back(
          std::filesystem::path(set->name(i)).lexically_relative(folder_.path()).string());
    return names;
  }
  std::string error_with(std::string_view content) {
    return error_of([&] { open(content); });
  }

  TempFolder folder_;
};

TEST_F(Lists, TheMarkOfUtf8IsNoPartOfThem) {
  for (const char* lines : {"\xef\xbb\xbf"
                            "a.jpg 1\nx/f.jpg 0\n",
                            "\xef\xbb\xbf"
                            "path,label\r\na.jpg,1\r\nx/f.jpg,0\r\n",
                            "\xef\xbb\xbf\n# names\na.jpg\t1\n\n\"x/f.jpg\"\t0\n"}) {
    EXPECT_THAT(paths(lines), ElementsAre("a.jpg", "x/f.jpg")) << lines;
    EXPECT_THAT(labels_of(*open(lines)), ElementsAre(1, 0)) << lines;
  }
  EXPECT_THAT(error_with(std::string("\xff\xfe"
                                     "a\0.\0",
                                     6)),
              AllOf(HasSubstr("train.txt"), HasSubstr("UTF-8")));
}

TEST_F(Lists, QuotesKeepBlanksAndCommasTogether) {
  EXPECT_THAT(paths("\"b c.jpg\" 1\n\"d,e.jpg\",0\nb c.jpg 1\nd,e.jpg,0\n\"a.jpg\",\"2\"\n"),
              ElementsAre("b c.jpg", "d,e.jpg", "b c.jpg", "d,e.jpg", "a.jpg"));
  EXPECT_THAT(open("a.jpg,\"great dane\"\nx/f.jpg,cat\n")->classes(),
              ElementsAre("cat", "great dane"));
  write_pictures(folder_, {"say \"cheese\".jpg"});
  EXPECT_THAT(paths("\"say \"\"cheese\"\".jpg\",0\n"), ElementsAre("say \"cheese\".jpg"));
  EXPECT_THAT(error_with("a.jpg 0\n\"b c.jpg 1\n"),
              AllOf(HasSubstr("train.txt: line 2"), HasSubstr("quote")));
  EXPECT_THAT(error_with("a.jpg 0\n\n\"b c.jpg\"1\n"), HasSubstr("line 3"));
}

TEST_F(Lists, HeadersAreSkippedAndFilesAreNot) {
  for (const char* header : {"path,label", "filename\tclass", "image class_id", "Bild;x,Nummer"})
    EXPECT_THAT(paths(std::string(header) + "\na.jpg 1\n"), ElementsAre("a.jpg")) << header;
  EXPECT_THAT(open("image,label\na.jpg,cat\nx/f.jpg,ant\n")->classes(), ElementsAre("ant", "cat"));
  // The first line names a file that is there.
  EXPECT_THAT(open("a.jpg,label\nx/f.jpg,id\n")->classes(), ElementsAre("id", "label"));
  EXPECT_THAT(error_with("path,label\n"), HasSubstr("empty but for its header"));
}

TEST_F(Lists, LabelsMayBeNamesOrMissing) {
  const auto named = open("a.jpg,dog\nx/f.jpg,cat\na.jpg,7\n");
  EXPECT_THAT(named->classes(), ElementsAre("7", "cat", "dog"));
  EXPECT_THAT(labels_of(*named), ElementsAre(2, 1, 0));
  const auto bare = open("a.jpg\nb c.jpg\nx/f.jpg\n");
  EXPECT_FALSE(bare->has_labels());
  EXPECT_THAT(labels_of(*bare), ElementsAre(-1, -1, -1));
  EXPECT_THAT(bare->name(1), ::testing::EndsWith("b c.jpg"));
  EXPECT_THAT(bare->why_no_labels(), AllOf(HasSubstr("train.txt"), HasSubstr("PATH,LABEL")));
  EXPECT_THAT(error_with("a.jpg\nx/f.jpg 1\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("has a label")));
  EXPECT_THAT(error_with("a.jpg 1\n\nx/f.jpg\n"),
              AllOf(HasSubstr("line 3"), HasSubstr("no label")));
}

}  // namespace
}  // namespace invp::testing
