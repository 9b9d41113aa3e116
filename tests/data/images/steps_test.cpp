#include "data/images/steps.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/images/decode.h"
#include "engine/core/error.h"
#include "tests/data/golden.h"

namespace invp {
namespace {

using test::golden;

TEST(Steps, GivePillowsPixels) {
  const Image source = load_image(golden("augment/source.png"));
  const auto cases = test::read_table(golden("augment/cases.tsv"));
  ASSERT_GT(cases.size(), 20u);
  for (const auto& row : cases) {
    SCOPED_TRACE(row[0]);
    std::vector<Step> steps;
    std::istringstream texts(row[0]);
    for (std::string text; texts >> text;) steps.push_back(parse_step(text));
    EXPECT_EQ(apply_steps(source, steps), load_image(golden("augment/" + row[1])));
  }
}

TEST(Steps, ErrorsNameTheStepTheKeyAndTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"brigtness:f=1", "no step is named 'brigtness': did you mean 'brightness'?"},
      {"", "no step is named ''"},
      {"resize:w=3,hh=4", "resize has no key 'hh': did you mean 'h'?"},
      {"resize:w=3", "resize: h is missing; write resize:w=,h="},
      {"resize:w=3,w=4,h=1", "resize: w is given twice"},
      {"resize:w=3.5,h=4", "resize: w is a whole number of pixels, got '3.5'"},
      {"hue:f=abc", "hue: f is a number, got 'abc'"},
      {"hue:f=", "hue: f is a number, got ''"},
      {"hue:f=nan", "hue: f is a number, got 'nan'"},
      {"hue:0.1", "hue: '0.1' is not key=value; write hue:f="},
      {"hflip:x=1", "hflip takes no keys, got 'x'"},
  };
  for (const auto& [text, expected] : cases) {
    SCOPED_TRACE(text);
    try {
      parse_step(text);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(expected));
    }
  }
}

TEST(Steps, RefuseAPictureThatCannotTakeThem) {
  EXPECT_THROW(apply_step(test::noise(9, 9, 1), parse_step("crop:x=5,y=0,w=5,h=5")), Error);
  EXPECT_THROW(apply_step(test::noise(9, 9, 1), parse_step("center-crop:size=10")), Error);
  EXPECT_THROW(apply_step(test::noise(9, 9, 1), parse_step("resize:w=0,h=3")), Error);
  EXPECT_THROW(apply_step(test::noise(9, 9, 1), parse_step("brightness:f=-1")), Error);
}

TEST(Steps, HelpListsEveryStep) {
  for (const char* usage : {"crop:x=,y=,w=,h=", "resize:w=,h=", "resize-shorter:size=",
                            "center-crop:size=", "brightness:f=", "contrast:f=", "saturation:f=",
                            "hue:f=", "grayscale", "blur:sigma=", "hflip"}) {
    EXPECT_THAT(step_help(), testing::HasSubstr(usage));
  }
}

}  // namespace
}  // namespace invp
