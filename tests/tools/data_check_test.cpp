// invp data check and apply as a person uses them: what is bad is counted, told apart and named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "data/images/encode.h"
#include "tests/data/golden.h"
#include "tests/tools/program.h"

namespace invp {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::run_invp;
using testing::Scratch;

class DataCheckTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* split : {"train", "val"}) {
      write(std::string(split) + "/a/1.png", encode_png(test::photo_like(20, 10, 1)));
      write(std::string(split) + "/b/2.jpg", encode_jpeg(test::photo_like(40, 30, 2)));
    }
  }
  void write(const std::string& name, const std::vector<std::uint8_t>& bytes) {
    scratch_.write(name, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  }
  Outcome check(const std::string& options = "") const {
    return run_invp("data check --data " + scratch_.path().string() + " --json " + options);
  }
  Scratch scratch_;
};

TEST_F(DataCheckTest, AWholeSetEndsWithZero) {
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_EQ(json::parse(outcome.last_line()), (json{{"images", 4},
                                                    {"bad", json::array()},
                                                    {"broken", 0},
                                                    {"unsupported", 0},
                                                    {"unreadable", 0}}));
}

TEST_F(DataCheckTest, WhatMayNotBeReadDoesNotEndIt) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  std::filesystem::permissions(scratch_.path() / "train/a/1.png", std::filesystem::perms::none);
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("4 images: 0 broken, 0 unsupported, 1 unreadable"));
  EXPECT_THAT(outcome.out, HasSubstr("you may not read it"));
}

TEST_F(DataCheckTest, BrokenAndUnsupportedAreToldApart) {
  std::vector<std::uint8_t> cut = encode_jpeg(test::photo_like(40, 30, 2));
  cut.resize(cut.size() * 3 / 4);
  write("train/a/cut.jpg", cut);
  scratch_.write("val/b/new.jpg", std::string("\0\0\0\x1c"
                                              "ftypavif",
                                              12));
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 1);
  EXPECT_EQ(outcome.err.find("invp data check:"), std::string::npos);
  EXPECT_THAT(outcome.out, HasSubstr("6 images: 1 broken, 1 unsupported"));
  const json results = json::parse(outcome.last_line());
  EXPECT_EQ(results["images"], 6);
  EXPECT_EQ(results["broken"], 1);
  EXPECT_EQ(results["unsupported"], 1);
  ASSERT_EQ(results["bad"].size(), 2u);
  EXPECT_EQ(results["bad"][0]["kind"], "broken");
  EXPECT_THAT(results["bad"][0]["file"].get<std::string>(), HasSubstr("train/a/cut.jpg"));
  EXPECT_THAT(results["bad"][0]["reason"].get<std::string>(), HasSubstr("cut short"));
  EXPECT_EQ(results["bad"][1]["kind"], "unsupported");
  EXPECT_THAT(results["bad"][1]["reason"].get<std::string>(), HasSubstr("AVIF is not supported"));
}

TEST_F(DataCheckTest, ALimitLeavesLargePicturesOut) {
  const json results = json::parse(check("--max-pixels 1199").last_line());
  EXPECT_EQ(results["unsupported"], 2);
  EXPECT_THAT(results["bad"][0]["reason"].get<std::string>(),
              HasSubstr("40 x 30 pixels, more than the 1199 allowed; --max-pixels raises"));
  EXPECT_EQ(check("--max-pixels 1200").code, 0);
  const std::string apply =
      "data apply " + (scratch_ / "val/b/2.jpg") + " --to " + (scratch_ / "o.png");
  EXPECT_EQ(run_invp(apply).code, 0);
  EXPECT_THAT(run_invp(apply + " --max-pixels 1199").err, HasSubstr("--max-pixels"));
}

TEST_F(DataCheckTest, NamesMayHoldAnyBytes) {
  scratch_.write("train/a/caf\xe9\x1b[31m.jpg", "no picture");
  const Outcome outcome = check();
  EXPECT_EQ(outcome.code, 1);
  const json results = json::parse(outcome.last_line(), nullptr, false);
  ASSERT_FALSE(results.is_discarded());
  EXPECT_EQ(results["images"], 5);
  EXPECT_THAT(results["bad"][0]["file"].get<std::string>(), HasSubstr("caf\uFFFD\x1b[31m.jpg"));
  EXPECT_THAT(outcome.out, HasSubstr("caf\\xe9\\x1b[31m.jpg"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace invp
