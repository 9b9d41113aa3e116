#include "engine/plans/plan_file.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "tests/support/environment.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;
using testing::Variable;

constexpr const char* kPlace = "cuDNN 91900, driver 13000, NVIDIA H100, 132 multiprocessors";

PlanChoice found(const std::filesystem::path& path, const std::string& problem,
                 const std::string& place = kPlace) {
  return PlanFile(path, place).find(problem).value_or(PlanChoice{.plan = "not there"});
}

TEST(PlanFile, KeepsChoices) {
  const TempFolder folder;
  const auto path = folder / "new folder/plans.json";
  PlanFile file(path, kPlace);
  EXPECT_FALSE(file.find("forward"));
  file.record("forward", {.plan = "eng67_k2=1", .microseconds = 12.5});
  file.record("backward", {});
  EXPECT_EQ(file.find("forward")->plan, "eng67_k2=1");
  EXPECT_EQ(found(path, "forward").plan, "eng67_k2=1");
  EXPECT_EQ(found(path, "forward").microseconds, 12.5);
  EXPECT_FALSE(found(path, "backward").exists());
  file.record("forward", {.plan = "eng70"});
  EXPECT_EQ(found(path, "forward").plan, "eng70");
  EXPECT_EQ(found(path, "forward").microseconds, 0);
}

TEST(PlanFile, PlacesDoNotSeeEachOther) {
  const TempFolder folder;
  const auto path = folder / "plans.json";
  PlanFile(path, kPlace).record("forward", {.plan = "eng67"});
  for (const char* other : {"cuDNN 92000, driver 13000, NVIDIA H100, 132 multiprocessors",
                            "cuDNN 91900, driver 13000, NVIDIA A100, 108 multiprocessors"}) {
    EXPECT_EQ(found(path, "forward", other).plan, "not there");
    PlanFile(path, other).record("forward", {.plan = "eng22"});
    EXPECT_EQ(found(path, "forward", other).plan, "eng22");
  }
  EXPECT_EQ(found(path, "forward").plan, "eng67");
}

TEST(PlanFile, DamagedFilesAreEmptyAndGetReplaced) {
  const TempFolder folder;
  const auto path = folder / "plans.json";
  PlanFile(path, kPlace).record("forward", {.plan = "eng67"});
  const std::string whole = read_all(path);
  std::vector<std::string> damaged = {"",
                                      "\xff garbage",
                                      "[1, 2]",
                                      "{}",
                                      R"({"format": 2, "places": {}})",
                                      "nul",
                                      R"({"format": 1, "places": 7})"};
  for (std::size_t size = 1; size + 2 < whole.size(); size += 7) {
    damaged.push_back(whole.substr(0, size));
  }
  damaged.emplace_back(100000, '[');
  std::string nested = R"({"format": 1, "places": )";
  for (int i = 0; i < 300'000; ++i) nested += R"({"a":)";
  damaged.push_back(nested + "1" + std::string(300'001, '}'));
  for (const std::string& content : damaged) {
    SCOPED_TRACE(content.substr(0, 200));
    folder.write("plans.json", content);
    PlanFile file(path, kPlace);
    EXPECT_FALSE(file.find("forward"));
    file.record("backward", {.plan = "eng71"});
    EXPECT_EQ(found(path, "backward").plan, "eng71");
  }
}

TEST(PlanFile, DamagedEntriesAreLeftOut) {
  const TempFolder folder;
  const std::string entries =
      R"({"a": 7, "b": {"plan": 7}, "c": {}, "d": {"plan": "eng1", "microseconds": "soon"}})";
  const auto path = folder.write("plans.json", R"({"format": 1, "places": {")" +
                                                   std::string(kPlace) + "\": " + entries + "}}");
  for (const char* problem : {"a", "b", "c"}) {
    EXPECT_EQ(found(path, problem).plan, "not there") << problem;
  }
  EXPECT_EQ(found(path, "d").plan, "eng1");
  EXPECT_EQ(found(path, "d").microseconds, 0);
  PlanFile(path, kPlace).record("a", {.plan = "eng2"});
  EXPECT_EQ(found(path, "a").plan, "eng2");
  EXPECT_EQ(found(path, "d").plan, "eng1");

  const auto odd = folder.write(
      "odd.json", R"({"format": 1, "places": {")" + std::string(kPlace) + R"(": "nothing"}})");
  EXPECT_EQ(found(odd, "a").plan, "not there");
  PlanFile(odd, kPlace).record("a", {.plan = "eng2"});
  EXPECT_EQ(found(odd, "a").plan, "eng2");
}

TEST(PlanFile, WritersAddToEachOther) {
  const TempFolder folder;
  const auto path = folder / "plans.json";
  PlanFile first(path, kPlace);
  PlanFile second(path, kPlace);
  first.record("one", {.plan = "eng1"});
  second.record("two", {.plan = "eng2"});
  first.record("three", {.plan = "eng3"});
  EXPECT_EQ(found(path, "one").plan, "eng1");
  EXPECT_EQ(found(path, "two").plan, "eng2");
  EXPECT_EQ(found(path, "three").plan, "eng3");
}

TEST(PlanFile, ProcessesWriteAtOnceAndNothingIsLost) {
  constexpr int kWriters = 4;
  constexpr int kProblems = 25;
  const TempFolder folder;
  const auto path = folder / "plans.json";
  const auto name = [](int writer, int problem) {
    return "problem " + std::to_string(problem) + " of " + std::to_string(writer);
  };
  std::vector<pid_t> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    const pid_t child = fork();
    if (child == 0) {
      PlanFile file(path, kPlace);
      for (int i = 0; i < kProblems; ++i) file.record(name(writer, i), {.plan = "eng"});
      _exit(0);
    }
    writers.push_back(child);
  }
  for (const pid_t writer : writers) {
    int status = 1;
    EXPECT_EQ(waitpid(writer, &status, 0), writer);
    EXPECT_EQ(status, 0);
  }
  const PlanFile all(path, kPlace);
  for (int writer = 0; writer < kWriters; ++writer) {
    for (int i = 0; i < kProblems; ++i) EXPECT_TRUE(all.find(name(writer, i))) << name(writer, i);
  }
}

TEST(PlanFile, SaysWhereItCannotWrite) {
  const TempFolder folder;
  folder.write("file", "");
  PlanFile file(folder / "file/plans.json", kPlace);
  EXPECT_THAT(error_of([&] { file.record("forward", {}); }), HasSubstr("file/plans.json"));
}

TEST(PlanFile, UserFileIsWhereTheEnvironmentSays) {
  const Variable home("HOME", "/home/of");
  const Variable cache("XDG_CACHE_HOME", "");
  const Variable file("INVP_PLAN_CACHE", "");
  EXPECT_EQ(user_plan_file(), "/home/of/.cache/invp/plans.json");
  {
    const Variable set("XDG_CACHE_HOME", "/cache");
    EXPECT_EQ(user_plan_file(), "/cache/invp/plans.json");
    const Variable own("INVP_PLAN_CACHE", "here.json");
    EXPECT_EQ(user_plan_file(), "here.json");
  }
  const Variable relative("XDG_CACHE_HOME", "cache");  // invalid, by the specification
  EXPECT_EQ(user_plan_file(), "/home/of/.cache/invp/plans.json");
  const Variable homeless("HOME", "");
  EXPECT_EQ(user_plan_file(), "");
}

}  // namespace
}  // namespace invp
