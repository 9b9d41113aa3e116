#include "engine/files/atomic_file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>

#include <csignal>
#include <vector>

#include "engine/files/safetensors.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using testing::error_of;
using ::testing::HasSubstr;
using testing::read_all;
using testing::TempFolder;

/// Files of this process may not grow beyond `bytes`: the system refuses as it does for a full
/// disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    handler_ = std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old_);
    rlimit limit = old_;
    limit.rlim_cur = bytes;
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  rlimit old_{};
  void (*handler_)(int) = nullptr;
};

std::size_t files_in(const fs::path& folder) {
  return static_cast<std::size_t>(
      std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, ReplacesTheOldContent) {
  const TempFolder folder;
  const fs::path path = folder.write("file", "old and longer");
  AtomicFile file(path);
  file.append("ne");
  file.append("w");
  EXPECT_EQ(file.bytes_written(), 3);
  EXPECT_EQ(read_all(path), "old and longer");  // until it is committed
  file.commit();
  EXPECT_EQ(read_all(path), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
  EXPECT_THAT(error_of([&] { file.append("more"); }), HasSubstr("after it was finished"));
}

TEST(AtomicFile, OverwritesOnlyWhatItWrote) {
  const TempFolder folder;
  AtomicFile file(folder / "file");
  file.append("head body");
  file.overwrite(0, std::as_bytes(std::span("HEAD", 4)));
  file.append(" tail");
  EXPECT_THAT(error_of([&] { file.overwrite(12, std::as_bytes(std::span("long", 4))); }),
              HasSubstr("do not lie within the 14 written"));
  EXPECT_THROW(file.overwrite(-1, {}), Error);
  file.commit();
  EXPECT_EQ(read_all(folder / "file"), "HEAD body tail");
}

TEST(AtomicFile, LeavesNothingWhenAbandoned) {
  const TempFolder folder;
  { AtomicFile(folder / "file").append("lost"); }
  EXPECT_EQ(files_in(folder.path()), 0u);
}

TEST(AtomicFile, KeepsTheOldFileWhenTheDiskIsFull) {
  const TempFolder folder;
  const fs::path path = folder.write("file", "old");
  const std::string content(100'000, 'x');
  for (const rlim_t room : {0, 1, 4096, 65'537, 99'999}) {
    const FileSizeLimit limit(room);
    const std::string error = error_of([&] { write_file(path, content); });
    EXPECT_THAT(error, HasSubstr(path.string()));
    EXPECT_THAT(error, HasSubstr("File too large"));
    EXPECT_THAT(error, HasSubstr("ulimit -f"));
    EXPECT_EQ(read_all(path), "old");
    EXPECT_EQ(files_in(folder.path()), 1u) << "the partial file is still there";
  }
  write_file(path, content);
  EXPECT_EQ(read_all(path), content);
}

TEST(AtomicFile, KeepsTheOldCheckpointWhenTheDiskFillsInTheMiddleOfTheTensors) {
  const TempFolder folder;
  const fs::path path = folder / "last.safetensors";
  const std::vector<std::pair<std::string, Tensor>> first = {{"w", Tensor::full({8}, 1)}};
  write_safetensors(path, first);
  const std::vector<std::pair<std::string, Tensor>> second = {{"a", Tensor::full({1000}, 2)},
                                                              {"b", Tensor::full({1000}, 3)}};
  const FileSizeLimit limit(6000);
  EXPECT_THAT(error_of([&] { write_safetensors(path, second); }), HasSubstr("File too large"));
  const TensorFile kept = read_safetensors(path);
  ASSERT_EQ(kept.tensors.size(), 1u);
  EXPECT_EQ(kept.tensors[0].second.span<float>()[7], 1);
}

TEST(AtomicFile, OverwritesThePartOfAKilledWriter) {
  const TempFolder folder;
  folder.write("file.partial", std::string(1000, 'z'));
  write_file(folder / "file", "new");
  EXPECT_EQ(read_all(folder / "file"), "new");
  EXPECT_EQ(files_in(folder.path()), 1u);
}

TEST(AtomicFile, RefusesASecondWriter) {
  const TempFolder folder;
  AtomicFile first(folder / "file");
  first.append("first");
  EXPECT_THAT(error_of([&] { AtomicFile second(folder / "file"); }), HasSubstr("another process"));
  first.commit();
  EXPECT_EQ(read_all(folder / "file"), "first");
}

TEST(AtomicFile, NamesWhatIsWrongWithThePath) {
  const TempFolder folder;
  EXPECT_THAT(error_of([&] { AtomicFile(folder / "missing/file"); }),
              ::testing::AllOf(HasSubstr("missing/file"), HasSubstr("create its folder")));
  EXPECT_THAT(error_of([&] { AtomicFile(folder.path()); }), HasSubstr("not an ordinary file"));
  EXPECT_THAT(error_of([&] { AtomicFile("/dev/full"); }), HasSubstr("not an ordinary file"));
}

TEST(AtomicFile, DoesNotWriteThroughTheSecondNameThatAKilledLinkLeft) {
  const TempFolder folder;
  const fs::path best = folder.write("best", "best of all");
  fs::create_hard_link(best, folder / "last.partial");
  write_file(folder / "last", "last");
  EXPECT_EQ(read_all(best), "best of all");
  EXPECT_EQ(read_all(folder / "last"), "last");
  EXPECT_EQ(files_in(folder.path()), 2u);
}

TEST(LinkFile, GivesAFileAnotherNameInPlaceOfTheOldOne) {
  const TempFolder folder;
  const fs::path best = folder.write("best", "new");
  const fs::path last = folder.write("last", "old");
  folder.write("last.partial", "left by a killed writer");
  EXPECT_TRUE(link_file(best, last));
  EXPECT_EQ(read_all(last), "new");
  EXPECT_EQ(fs::hard_link_count(best), 2u);
  EXPECT_TRUE(link_file(best, last)) << "once more changes nothing";
  EXPECT_EQ(files_in(folder.path()), 2u);
  write_file(last, "newer");
  EXPECT_EQ(read_all(best), "new") << "the other name is not written through";
  EXPECT_THAT(error_of([&] { link_file(folder / "missing", last); }), HasSubstr("last: "));
  EXPECT_EQ(read_all(last), "newer");
}

TEST(MakeFolders, MakesThoseAboveTooAndNamesTheOneThatCannotBe) {
  const TempFolder folder;
  make_folders(folder / "a/b/c");
  make_folders(folder / "a/b/c");
  EXPECT_TRUE(fs::is_directory(folder / "a/b/c"));
  folder.write("a/file", "");
  EXPECT_THAT(error_of([&] { make_folders(folder / "a/file/d"); }), HasSubstr("a/file: "));
}

TEST(RemovePartialFiles, TakesWhatNobodyWrites) {
  const TempFolder folder;
  folder.write("killed.partial", "half");
  folder.write("file", "kept");
  fs::create_directory(folder / "folder.partial");
  AtomicFile writing(folder / "written");
  writing.append("now");
  remove_partial_files(folder.path());
  writing.commit();
  EXPECT_FALSE(fs::exists(folder / "killed.partial"));
  EXPECT_EQ(read_all(folder / "written"), "now");
  EXPECT_EQ(files_in(folder.path()), 3u);
  remove_partial_files(folder / "missing");
}

TEST(AppendedFile, GrowsByWholeTextsOrNotAtAll) {
  const TempFolder folder;
  folder.write("log", "before\n");
  AppendedFile log(folder / "log");
  log.append("first\n");
  {
    const FileSizeLimit limit(16);
    EXPECT_THAT(error_of([&] { log.append("longer than there is room for\n"); }),
                ::testing::AllOf(HasSubstr("log: "), HasSubstr("ulimit -f")));
    EXPECT_EQ(read_all(folder / "log"), "before\nfirst\n");
  }
  log.append("last\n");
  EXPECT_EQ(read_all(folder / "log"), "before\nfirst\nlast\n");
  EXPECT_THAT(error_of([&] { AppendedFile(folder / "missing/log"); }), HasSubstr("missing/log"));
}

}  // namespace
}  // namespace invp
