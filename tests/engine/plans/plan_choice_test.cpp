#include "engine/plans/plan_choice.h"

#include <gmock/gmock.h>

#include <map>

#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testing::TempFolder;

/// A library that offers plans "0", "1", ... with the times given: kRefused cannot be taken,
/// kFails cannot be measured.
class Library : public PlanOffers {
 public:
  static constexpr double kRefused = -1;
  static constexpr double kFails = -2;

  explicit Library(std::vector<double> times) : times_(std::move(times)) {}

  std::vector<std::string> list() override {
    ++listed;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < times_.size(); ++i) names.push_back(std::to_string(i));
    return names;
  }
  bool take(const std::string& plan) override {
    const auto number = static_cast<std::size_t>(std::atoi(plan.c_str()));
    if (number >= times_.size() || times_[number] == kRefused) return false;
    taken = plan;
    return true;
  }
  double microseconds() override {
    measured.push_back(taken);
    const double time = times_[static_cast<std::size_t>(std::atoi(taken.c_str()))];
    CHECK(time != kFails, "no memory");
    return time;
  }

  std::string taken;
  std::vector<std::string> measured;
  int listed = 0;

 private:
  std::vector<double> times_;
};

class PlanChoiceTest : public ::testing::Test {
 protected:
  std::optional<PlanChoice> recorded(const char* file) {
    return PlanFile(folder_ / file, "here").find("problem");
  }

  TempFolder folder_;
  PlanFile run_{folder_ / "run.json", "here"};
  PlanFile shared_{folder_ / "shared.json", "here"};
};

TEST_F(PlanChoiceTest, MeasuresAndRecordsTheFastest) {
  Library library({9, 4, 7});
  const PlanChoice choice =
      choose_plan("problem", library, {.run = &run_, .shared = &shared_, .measure = true});
  EXPECT_EQ(choice.plan, "1");
  EXPECT_EQ(choice.microseconds, 4);
  EXPECT_EQ(library.taken, "1");
  EXPECT_THAT(library.measured, ElementsAre("0", "1", "2"));
  EXPECT_EQ(recorded("run.json")->plan, "1");
  EXPECT_EQ(recorded("shared.json")->plan, "1");
}

TEST_F(PlanChoiceTest, MeasuresOnlyTheFirstFew) {
  Library library({9, Library::kRefused, 8, Library::kFails, 7, 6, 5, 4, 3, 2, 1, 0.5});
  EXPECT_EQ(choose_plan("problem", library, {.measure = true}).plan, "9");
  EXPECT_THAT(library.measured, SizeIs(9));  // eight, and the one that failed
}

TEST_F(PlanChoiceTest, TakesWhatRunsWhenNothingCanBeMeasured) {
  Library library({Library::kRefused, Library::kFails});
  const PlanChoice choice =
      choose_plan("problem", library, {.run = &run_, .shared = &shared_, .measure = true});
  EXPECT_EQ(choice.plan, "1");
  EXPECT_FALSE(recorded("shared.json"));
  EXPECT_EQ(recorded("run.json")->plan, "1");
}

TEST_F(PlanChoiceTest, UnmeasuredIsTheFirstThatCanBeHad) {
  Library library({Library::kRefused, 9, 4});
  const PlanChoice choice = choose_plan("problem", library, {.run = &run_, .shared = &shared_});
  EXPECT_EQ(choice.plan, "1");
  EXPECT_THAT(library.measured, IsEmpty());
  EXPECT_EQ(recorded("run.json")->plan, "1");
  EXPECT_FALSE(recorded("shared.json"));  // a guess is no news to others
}

TEST_F(PlanChoiceTest, TheRunsOwnFileGoesFirst) {
  run_.record("problem", {.plan = "2"});
  shared_.record("problem", {.plan = "1", .microseconds = 4});
  Library library({9, 4, 7});
  const PlanChoice choice =
      choose_plan("problem", library, {.run = &run_, .shared = &shared_, .measure = true});
  EXPECT_EQ(choice.plan, "2");
  EXPECT_EQ(library.taken, "2");
  EXPECT_EQ(library.listed, 0);
}

TEST_F(PlanChoiceTest, WhatOthersMeasuredIsTakenAndPinned) {
  shared_.record("problem", {.plan = "1", .microseconds = 4});
  Library library({9, 4, 7});
  choose_plan("problem", library, {.run = &run_, .shared = &shared_, .measure = true});
  EXPECT_EQ(library.taken, "1");
  EXPECT_THAT(library.measured, IsEmpty());
  EXPECT_EQ(recorded("run.json")->plan, "1");
}

TEST_F(PlanChoiceTest, ARecordThatIsRefusedIsReplaced) {
  run_.record("problem", {.plan = "77"});
  shared_.record("problem", {.plan = "0", .microseconds = 1});
  Library library({Library::kRefused, 4, 7});
  choose_plan("problem", library, {.run = &run_, .shared = &shared_, .measure = true});
  EXPECT_EQ(library.taken, "1");
  EXPECT_EQ(recorded("run.json")->plan, "1");
  EXPECT_EQ(recorded("shared.json")->plan, "1");
}

TEST_F(PlanChoiceTest, NoPlanIsRememberedByTheRunOnly) {
  Library library({Library::kRefused});
  const PlanPolicy policy{.run = &run_, .shared = &shared_, .measure = true};
  EXPECT_FALSE(choose_plan("problem", library, policy).exists());
  EXPECT_FALSE(recorded("shared.json"));
  Library repaired({5});
  EXPECT_FALSE(choose_plan("problem", repaired, policy).exists());
  EXPECT_TRUE(choose_plan("problem", repaired, {.shared = &shared_, .measure = true}).exists());
}

TEST_F(PlanChoiceTest, ASharedFileThatCannotBeWrittenIsNoFailure) {
  folder_.write("file", "");
  PlanFile nowhere(folder_ / "file/plans.json", "here");
  Library library({9, 4});
  EXPECT_EQ(choose_plan("problem", library, {.shared = &nowhere, .measure = true}).plan, "1");
  PlanFile pinned(folder_ / "file/plans.json", "here");
  EXPECT_THROW(choose_plan("problem", library, {.run = &pinned}), Error);
}

}  // namespace
}  // namespace invp
