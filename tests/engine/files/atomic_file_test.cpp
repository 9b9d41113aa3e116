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

}  // namespace
}  // namespace invp
