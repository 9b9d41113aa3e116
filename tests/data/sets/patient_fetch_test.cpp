// Images on a disk that fails for a moment or for good, and indices that no image has.
#include "data/sets/patient_fetch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <thread>

#include "data/sets/open_dataset.h"
#include "data/sets/subset.h"
#include "data/sets/ten_crops.h"
#include "engine/core/stop.h"
#include "engine/core/stopwatch.h"
#include "engine/files/file_reader.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using namespace std::chrono_literals;
using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

/// Fails the first `failures` times.
class Flaky final : public Dataset {
 public:
  explicit Flaky(int failures, bool may_recover = true)
      : Dataset("flaky", {0}, {"all"}), failures_(failures), may_recover_(may_recover) {}
  std::string name(std::int64_t) const override { return "picture"; }
  void fetch(std::int64_t, Sample&) const override {
    if (tries++ < failures_) throw SystemError("picture: the disk failed", may_recover_);
  }
  mutable int tries = 0;

 private:
  int failures_;
  bool may_recover_;
};

TEST(PatientFetch, TriesAgainUntilTheDiskIsBack) {
  const Flaky set(3);
  Sample sample;
  fetch_patiently(set, 0, sample, 10s);
  EXPECT_EQ(set.tries, 4);
}

TEST(PatientFetch, GivesUpAfterAWhileAndSaysHowOftenItTried) {
  const Flaky set(1'000'000);
  Sample sample;
  const Stopwatch stopwatch;
  EXPECT_THAT(error_of([&] { fetch_patiently(set, 0, sample, 200ms); }),
              AllOf(HasSubstr("picture: the disk failed; tried "), HasSubstr(" times in ")));
  EXPECT_GE(stopwatch.seconds(), 0.2);
  EXPECT_GE(set.tries, 3);
}

TEST(PatientFetch, WaitsForNothingThatDoesNotChange) {
  const Flaky set(5, false);
  Sample sample;
  EXPECT_THROW(fetch_patiently(set, 0, sample, 10s), SystemError);
  EXPECT_EQ(set.tries, 1);
}

TEST(PatientFetch, HearsAStopInItsPauses) {
  const Flaky set(1'000'000);
  Sample sample;
  std::thread later([] {
    std::this_thread::sleep_for(50ms);
    request_stop(SIGTERM);
  });
  EXPECT_THROW(fetch_patiently(set, 0, sample, 3600s), Stopped);
  later.join();
  forget_stop();
}

TEST(PatientFetch, AFileThatTheSetListsAndIsGoneIsTheDisksFault) {
  const TempFolder folder;
  folder.write("a/1.jpg", "x");
  folder.write("a/2.jpg", "x");
  std::filesystem::create_symlink(folder / "nowhere", folder / "a/3.jpg");
  const auto set = open_dataset({.path = folder.path(), .format = "imagefolder"}, "train");
  std::filesystem::remove(folder / "a/1.jpg");
  Sample sample;
  EXPECT_THROW(set->fetch(0, sample), SystemError);
  EXPECT_THAT(error_of([&] { fetch_patiently(*set, 0, sample, 30ms); }),
              AllOf(HasSubstr("1.jpg"), HasSubstr("is its disk still mounted?; tried")));
  fetch_patiently(*set, 1, sample, 30ms);
  try {
    set->fetch(2, sample);
    ADD_FAILURE() << "a link to nothing was read";
  } catch (const SystemError&) {
    ADD_FAILURE() << "the link was never whole: a broken picture";
  } catch (const Error&) {
  }
}

TEST(Dataset, RefusesIndicesThatNoImageHas) {
  DataSource source{.format = "synthetic"};
  source.synthetic_train = 3;
  const std::shared_ptr<const Dataset> drawn = open_dataset(source, "train");
  const TempFolder folder;
  folder.write("a/1.jpg", "x");
  const auto files = open_dataset({.path = folder.path(), .format = "imagefolder"}, "train");
  const PixelDataset pixels("pixels", 1, 1, {1, 2, 3}, {{"file", 1}}, {0}, {"all"});
  const TenCrops crops(*drawn, 16, 8);
  const auto part = subset(*drawn, {0, 1});
  const std::initializer_list<const Dataset*> sets = {drawn.get(), files.get(), part.get(),
                                                      static_cast<const Dataset*>(&pixels),
                                                      static_cast<const Dataset*>(&crops)};
  for (const Dataset* set : sets) {
    for (const std::int64_t index :
         {std::int64_t{-1}, set->size(), std::numeric_limits<std::int64_t>::min(),
          std::numeric_limits<std::int64_t>::max()}) {
      Sample sample;
      const auto refusal = AllOf(HasSubstr("was asked for"), HasSubstr(set->kind()));
      EXPECT_THAT(error_of([&] { set->fetch(index, sample); }), refusal);
      EXPECT_THAT(error_of([&] { set->label(index); }), refusal);
      EXPECT_THAT(error_of([&] { set->name(index); }), refusal);
    }
  }
}

}  // namespace
}  // namespace invp
