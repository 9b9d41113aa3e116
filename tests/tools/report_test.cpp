// invp report as a user runs it, on runs made here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/support/html.h"
#include "tests/tools/program.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

std::string tiny_run(const std::string& folder) {
  return "pretrain --format synthetic --synthetic-train 40 --synthetic-val 10 --synthetic-size 16 "
         "--arch resnet18-cifar --width 4 --dim 16 --augment cifar --image-size 16 --background 20 "
         "--batch-size 20 --warm-epochs 1 --epochs 1 --knn-k 10 --workers 1 --out " +
         folder;
}

TEST(ReportCommand, PretrainLeavesAReportAndSeveralAreComparedByCommand) {
  const Scratch scratch;
  const Outcome first = run_invp(tiny_run(scratch / "first"));
  ASSERT_EQ(first.code, 0) << first.err;
  EXPECT_THAT(first.err, HasSubstr("first/report.html"));
  const HtmlPage left(read_all(scratch / "first/report.html"));
  EXPECT_EQ(left.count("article"), 12);
  EXPECT_THAT(left.text(), HasSubstr("Purity of positives"));
  EXPECT_THAT(left.text(), HasSubstr("first: no t-SNE"));

  // Another run with another rate.
  std::filesystem::copy(scratch / "first", scratch / "second",
                        std::filesystem::copy_options::recursive);
  std::string config = read_all(scratch / "second/config.toml");
  const std::size_t rate = config.find("\nlr = 0.03\n");
  ASSERT_NE(rate, std::string::npos);
  std::ofstream(scratch / "second/config.toml") << config.replace(rate, 11, "\nlr = 0.01\n");

  const Outcome both = run_invp("report " + (scratch / "first") + " " + (scratch / "second") +
                                " --anchors 3 --to " + (scratch / "both.html") + " --json");
  ASSERT_EQ(both.code, 0) << both.err;
  EXPECT_EQ(nlohmann::json::parse(both.last_line()),
            nlohmann::json({{"report", scratch / "both.html"}}));
  const HtmlPage page(read_all(scratch / "both.html"));
  EXPECT_EQ(page.count("tr", "differs"), 1);
  EXPECT_EQ(page.count("article"), 6);
  EXPECT_THAT(page.text(), HasSubstr("first, second: no t-SNE"));
}

TEST(ReportCommand, RunsOfOneNameAreToldApartByTheirPaths) {
  const Scratch scratch;
  for (const char* run : {"a/run", "b/run"})
    static_cast<const TempFolder&>(scratch).write(std::string(run) + "/config.toml",
                                                  "lr = 0.1\nunheard-of = \"x\"\n");
  const Outcome outcome = run_invp("report " + (scratch / "a/run") + " " + (scratch / "b/run/") +
                                   " --to " + (scratch / "r.html"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const HtmlPage page(read_all(scratch / "r.html"));
  EXPECT_THAT(page.text(), HasSubstr("a/run and b/run"));
  EXPECT_THAT(page.text(), HasSubstr("unheard-of"));
}

TEST(ReportCommand, SaysWhatIsWrong) {
  const Scratch scratch;
  const Outcome none = run_invp("report");
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.err, HasSubstr("RUN... is missing"));
  const Outcome nowhere = run_invp("report " + (scratch / "nowhere"));
  EXPECT_EQ(nowhere.code, 1);
  EXPECT_THAT(nowhere.err, HasSubstr("nowhere: no such run folder"));
  const Outcome empty = run_invp("report " + scratch.path().string());
  EXPECT_EQ(empty.code, 1);
  EXPECT_THAT(empty.err, HasSubstr("holds nothing of a run"));
}

}  // namespace
}  // namespace invp::testing
