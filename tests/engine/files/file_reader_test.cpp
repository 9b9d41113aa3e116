// What is no ordinary file, and whose fault an error is.
#include "engine/files/file_reader.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string opening(const std::filesystem::path& path) {
  return error_of([&] { const FileReader file(path); });
}

TEST(FileReader, RefusesWhatIsNoOrdinaryFileWithoutWaiting) {
  const TempFolder folder;
  const std::filesystem::path pipe = folder / "pipe.jpg";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(opening(pipe), AllOf(HasSubstr("pipe.jpg"), HasSubstr("no ordinary file")));

  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  ASSERT_GE(listener, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string socket = (folder / "socket.jpg").string();
  ASSERT_LT(socket.size(), sizeof address.sun_path);
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_THAT(opening(socket), AllOf(HasSubstr("socket.jpg"), HasSubstr("no ordinary file")));
  ::close(listener);

  EXPECT_THAT(opening("/dev/null"), HasSubstr("no ordinary file"));
  std::filesystem::create_directory(folder / "x.jpg");
  EXPECT_THAT(opening(folder / "x.jpg"), HasSubstr("is a folder"));
  std::filesystem::create_symlink(folder / "gone", folder / "broken.jpg");
  EXPECT_THAT(opening(folder / "broken.jpg"), HasSubstr("No such file"));
  std::filesystem::create_symlink(folder / "ring.jpg", folder / "ring.jpg");
  EXPECT_THAT(opening(folder / "ring.jpg"), HasSubstr("symbolic links"));
}

TEST(FileReader, TooManyOpenFilesIsTheMachinesFault) {
  const TempFolder folder;
  const auto path = folder.write("a.jpg", "x");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest = ::open("/dev/null", O_RDONLY);  // the number that is given out next
  ASSERT_GE(lowest, 0);
  ::close(lowest);
  const rlimit none_left{static_cast<rlim_t>(lowest), before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none_left), 0);
  std::string said;
  try {
    const FileReader file(path);
  } catch (const SystemError& error) {
    said = error.what();
  }
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(said, AllOf(HasSubstr("a.jpg"), HasSubstr("ulimit -n"),
                          HasSubstr(message("now ", none_left.rlim_cur))));
}

TEST(FileReader, TellsAFileThatIsNotThereFromOneThatIsWrong) {
  const TempFolder folder;
  EXPECT_THROW(FileReader(folder / "none"), MissingFile);
  std::filesystem::create_symlink(folder / "none", folder / "link");
  try {
    const FileReader file(folder / "link");
    ADD_FAILURE() << "a link to nothing was opened";
  } catch (const MissingFile&) {
    ADD_FAILURE() << "the link is there";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("No such file"));
  }
}

TEST(FileReader, TellsTheMachineFromTheFile) {
  for (const int error : {EMFILE, ENFILE, ENOMEM, EIO, EACCES, ESTALE})
    EXPECT_NE(system_fault(error), "") << error;
  for (const int error : {ENOENT, ELOOP, ENOTDIR, ENAMETOOLONG})
    EXPECT_EQ(system_fault(error), "") << error;
}

}  // namespace
}  // namespace invp::testing
