#include "invp/report/svg/curves.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "invp/run/measures.h"

namespace invp {
namespace {

using ::testing::HasSubstr;

std::vector<EpochReport> judged_every_third(int epochs) {
  std::vector<EpochReport> reports;
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    EpochReport report{.epoch = epoch, .global_step = 100 * epoch, .loss = 1.0 / epoch};
    for (const char* part : {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"})
      report.measures.push_back({part, 0.1});
    if (epoch % 3 == 0) report.measures.push_back({"ap50", 10.0 * epoch});
    reports.push_back(std::move(report));
  }
  return reports;
}

std::string drawn(int epochs) {
  return curves_svg(
      "A run", judged_every_third(epochs),
      known_measures({"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "ap50"}), true);
}

TEST(Curves, JoinWhatIsJudgedNowAndThen) {
  const std::string svg = drawn(9);
  // Losses of five names, precision, rate and speed.
  std::size_t paths = 0;
  for (std::size_t at = svg.find("<path"); at != std::string::npos; at = svg.find("<path", at + 1))
    ++paths;
  EXPECT_EQ(paths, 8U);
  EXPECT_EQ(svg.find("class=\"dot"), std::string::npos);
  EXPECT_NE(drawn(3).find("class=\"dot"), std::string::npos);  // one point has nothing to join
}

TEST(Curves, NameTheBestAsItIsWritten) {
  EXPECT_THAT(drawn(9), HasSubstr("best AP50 90.0 %"));
}

TEST(Curves, LegendsEndWithinTheirPanel) {
  const std::string svg = drawn(9);
  // The first panel reaches from 28 to 498; a letter takes at most 7.
  const std::regex entry("<text x=\"([0-9.]+)\" y=\"[0-9.]+\" class=\"legend\">([^<]*)<");
  int in_first = 0;
  for (std::sregex_iterator at(svg.begin(), svg.end(), entry), end; at != end; ++at) {
    const double x = std::stod((*at)[1]);
    if (x > 498) continue;
    ++in_first;
    EXPECT_LE(x + 7.0 * static_cast<double>((*at)[2].length()), 498) << (*at)[2];
  }
  EXPECT_EQ(in_first, 5);
}

}  // namespace
}  // namespace invp
