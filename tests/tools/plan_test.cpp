// invp plan: what people and scripts see of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace invp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::run_invp;
using testing::Scratch;

TEST(PlanCommand, JsonHasTheNamesOfTheContract) {
  const Outcome outcome =
      run_invp("plan --images 1e9 --gpus 1024 --gpu h100 --batch-size 8192 --head mlp --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.last_line());
  double sum = 0;
  for (const char* part :
       {"network", "norms", "all_reduce", "search", "exchange", "updates", "data_wait"})
    sum += json.at("step_ms").at(part).get<double>();
  EXPECT_NEAR(json.at("step_ms").at("total").get<double>(), sum, 1e-9);
  EXPECT_NEAR(sum, 26.9, 0.3);
  EXPECT_NEAR(json.at("epoch_s").get<double>(), 3300, 60);
  std::int64_t bytes = 0;
  for (const char* part : {"weights", "momentum", "gradients", "activations", "bank", "graph"})
    bytes += json.at("memory_bytes").at(part).get<std::int64_t>();
  EXPECT_NEAR(json.at("memory_bytes").at("total").get<double>(), static_cast<double>(bytes), 8);
  EXPECT_EQ(json.at("limit"), "memory");
  EXPECT_TRUE(json.at("breaks").at(0).at("passed").get<bool>());
}

TEST(PlanCommand, SaysPartsLimitAndThatNothingWasMeasured) {
  const Outcome outcome = run_invp("plan --images 1.28M --gpus 8 --batch-size 1024 --head mlp");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  for (const char* words :
       {"1,280,000 images on 8 GPUs (NVIDIA H100 SXM)", "1,024 = 8 GPUs x 128 images",
        "a batch norm sees 128 images", "calculated from published figures, not measured",
        "limit    network", "bank     whole on every GPU", "27 s"})
    EXPECT_THAT(outcome.out, HasSubstr(words));
  EXPECT_THAT(outcome.out, Not(HasSubstr("data_wait")));
  EXPECT_THAT(run_invp("plan --images 14M --gpus 64 --batch-size 8192 --bn-groups 1").out,
              HasSubstr("a batch norm sees 64 GPUs"));
}

TEST(PlanCommand, RefusesWhatCannotRunWithTheWayOut) {
  const auto refused = [](const char* arguments, const char* words) {
    const Outcome outcome = run_invp(std::string("plan ") + arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_EQ(outcome.out, "");
    EXPECT_THAT(outcome.err, HasSubstr(words));
  };
  refused("--images 1e9 --gpus 16 --batch-size 8",
          "invp plan: --gpus 16 is more than --batch-size 8: every GPU needs an image; use at most "
          "8 GPUs or a batch of 16");
  refused("--images 1e9 --gpus 8 --batch-size 64 --bn-groups 3", "use --bn-groups 8, one per GPU");
  refused("--images 1e9 --gpus 8", "--batch-size N is missing");
  refused("--images 0 --gpus 8 --batch-size 8", "--images must be from 1 to");
  refused("--images many --gpus 8 --batch-size 8",
          "--images must be a whole number such as 1280000, 1.28M or 1e9, got 'many'");
  refused("--images 1e9 --gpus 8 --batch-size 8 --gpu h10", "did you mean h100?");
}

TEST(PlanCommand, CountsMayBeWrittenShort) {
  const auto images = [](const std::string& text) {
    const Outcome outcome = run_invp("plan --gpus 1 --batch-size 1 --images " + text);
    return outcome.code == 0 ? outcome.out.substr(0, outcome.out.find('\n')) : outcome.err;
  };
  const std::string million = images("1280000");
  for (const char* text : {"1.28M", "1.28e6", "1280k", "0.00128G"})
    EXPECT_EQ(images(text), million) << text;
  for (const char* text : {"1.2345k", "0.5", "1.28m", "k", "1e30", "1 M", "inf", "1MM"})
    EXPECT_THAT(images(std::string("'") + text + "'"), HasSubstr("must be")) << text;
}

TEST(PlanCommand, DrawsThePicture) {
  const Scratch scratch;
  const Outcome outcome = run_invp("plan --images 1.28M --gpus 64 --batch-size 8192 --picture " +
                                   (scratch / "plan.svg"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("picture  " + (scratch / "plan.svg")));
  EXPECT_THAT(testing::read_all(scratch / "plan.svg"), HasSubstr("Time per epoch"));
  EXPECT_EQ(run_invp("plan --images 1 --gpus 1 --batch-size 1 --picture /nowhere/plan.svg").code,
            1);
}

}  // namespace
}  // namespace invp
