// Average precision against scikit-learn (golden/linear.py) and by hand.
#include "invp/protocols/scores/average_precision.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <vector>

#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

std::vector<std::string> fields_of(const std::string& line, char separator) {
  std::vector<std::string> fields;
  std::istringstream in(line);
  for (std::string field; std::getline(in, field, separator);) fields.push_back(field);
  return fields;
}

TEST(AveragePrecision, IsScikitLearns) {
  std::ifstream file(testing::golden("linear_average_precision.tsv"));
  int cases = 0;
  for (std::string line; std::getline(file, line); ++cases) {
    SCOPED_TRACE(cases);
    const std::vector<std::string> fields = fields_of(line, '\t');
    ASSERT_EQ(fields.size(), 5U);
    std::vector<float> scores;
    for (const std::string& score : fields_of(fields[0], ' ')) scores.push_back(std::stof(score));
    std::vector<Presence> presences;
    for (const std::string& flag : fields_of(fields[1], ' '))
      presences.push_back(static_cast<Presence>(std::stoi(flag)));
    const AveragePrecision result = average_precision(scores, presences);
    EXPECT_NEAR(result.step, std::stod(fields[2]), 1e-12);
    EXPECT_NEAR(result.envelope, std::stod(fields[3]), 1e-12);
    EXPECT_NEAR(result.eleven_point, std::stod(fields[4]), 1e-12);
  }
  EXPECT_EQ(cases, 24);
}

constexpr Presence kYes = Presence::kPresent;
constexpr Presence kNo = Presence::kAbsent;

TEST(AveragePrecision, ByHand) {
  // Precision 1 at recall 1/2, 2/3 at recall 1.
  const AveragePrecision result =
      average_precision(std::vector{4.0F, 3.0F, 2.0F, 1.0F}, std::vector{kYes, kNo, kYes, kNo});
  EXPECT_DOUBLE_EQ(result.step, 0.5 + 0.5 * 2 / 3);
  EXPECT_DOUBLE_EQ(result.envelope, 0.5 + 0.5 * 2 / 3);
  EXPECT_NEAR(result.eleven_point, (6 + 5 * 2.0 / 3) / 11, 1e-15);
}

TEST(AveragePrecision, TiesCountAgainstThePositives) {
  const AveragePrecision result =
      average_precision(std::vector{1.0F, 1.0F}, std::vector{kYes, kNo});
  EXPECT_DOUBLE_EQ(result.step, 0.5);
  EXPECT_DOUBLE_EQ(result.envelope, 0.5);
  // The penalty also turns around what lies closer together than itself.
  EXPECT_DOUBLE_EQ(average_precision(std::vector{1.000005F, 1.0F}, std::vector{kYes, kNo}).step,
                   0.5);
  EXPECT_DOUBLE_EQ(average_precision(std::vector{1.00005F, 1.0F}, std::vector{kYes, kNo}).step, 1);
}

TEST(AveragePrecision, LeavesOutWhatIsUnclear) {
  const std::vector<float> scores = {9, 5, 4};
  const AveragePrecision result =
      average_precision(scores, std::vector{Presence::kUnclear, kYes, kNo});
  EXPECT_DOUBLE_EQ(result.step, 1);
  EXPECT_NEAR(result.eleven_point, 1, 1e-15);
}

TEST(AveragePrecision, OfOddInput) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const AveragePrecision none = average_precision(std::vector{1.0F, 2.0F}, std::vector{kNo, kNo});
  EXPECT_EQ(none.step, 0);
  EXPECT_EQ(none.envelope, 0);
  EXPECT_EQ(none.eleven_point, 0);
  EXPECT_DOUBLE_EQ(average_precision(std::vector{nan, -7.0F}, std::vector{kYes, kNo}).step, 0.5);
  EXPECT_DOUBLE_EQ(average_precision(std::vector{nan, -7.0F}, std::vector{kNo, kYes}).step, 1);
  EXPECT_THROW(average_precision(std::vector{1.0F}, std::vector{kYes, kNo}), Error);
}

}  // namespace
}  // namespace invp
