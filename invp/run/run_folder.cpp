#include "invp/run/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <tuple>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "engine/files/file_reader.h"
#include "engine/files/safetensors.h"

namespace invp {

namespace {

constexpr const char* kLock = "writing";

std::string who_writes() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return message("process ", getpid(), " on ", host.data());
}

std::string first_line(int descriptor) {
  std::array<char, 300> text{};
  const ssize_t read = pread(descriptor, text.data(), text.size() - 1, 0);
  return read > 0 ? std::string(text.data()) : "another process";
}

/// The file under this name is still the one that was opened.
bool same_file(int descriptor, const std::filesystem::path& file) {
  struct stat opened {};
  struct stat named {};
  return fstat(descriptor, &opened) == 0 && stat(file.c_str(), &named) == 0 &&
         opened.st_ino == named.st_ino;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder) : file_(folder / kLock) {
  while (true) {
    descriptor_ = open(file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    CHECK(descriptor_ >= 0, file_.string(), ": cannot be written: ", std::strerror(errno));
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      // Some network file systems have no locks: the run goes on without.
      if (errno != EWOULDBLOCK) break;
      const std::string writer = first_line(descriptor_);
      close(descriptor_);
      descriptor_ = -1;
      fail(folder.string(), ": ", writer,
           " is writing to this run folder; stop it first, or give another --out");
    }
    // The process that held it may have removed the file after it was opened here.
    if (same_file(descriptor_, file_)) break;
    close(descriptor_);
  }
  const std::string text = who_writes();
  if (ftruncate(descriptor_, 0) == 0) [[maybe_unused]]
    const ssize_t written = pwrite(descriptor_, text.data(), text.size(), 0);
}

FolderLock::~FolderLock() {
  if (descriptor_ < 0) return;
  std::error_code ignored;
  std::filesystem::remove(file_, ignored);
  close(descriptor_);
}

void RunFolder::prepare() const {
  make_folders(checkpoints());
  for (const std::filesystem::path& folder : {path_, checkpoints()}) remove_partial_files(folder);
}

bool RunFolder::holds(const std::filesystem::path& checkpoint) const {
  std::error_code ignored;
  return std::filesystem::equivalent(std::filesystem::absolute(checkpoint).parent_path(),
                                     checkpoints(), ignored);
}

std::filesystem::path RunFolder::checkpoint(const std::string& name) const {
  return checkpoints() / (name + ".safetensors");
}

void RunFolder::write_skipped_images(const std::vector<BadImage>& images) const {
  if (images.empty()) return;
  std::string text = "file\treason\n";
  for (const BadImage& image : images) text += image.file + "\t" + image.reason + "\n";
  write_file(path_ / "skipped-images.tsv", text);
}

std::optional<Checkpoint> RunFolder::to_resume(const std::string& resume,
                                               RunObserver& observer) const {
  if (resume == "auto") return find_checkpoint(path_, observer);
  if (resume.empty()) {
    CHECK(!std::filesystem::exists(checkpoint("last")), path_.string(),
          ": holds a run already; --resume auto goes on with it, --out DIR starts another "
          "elsewhere");
    return std::nullopt;
  }
  CHECK(std::filesystem::exists(resume), resume, ": no such checkpoint to resume from");
  CHECK(holds(resume) || !std::filesystem::exists(checkpoint("last")), path_.string(),
        ": holds a run already, which is not that of ", resume,
        "; --out DIR goes on elsewhere, --resume auto goes on with the run that is there");
  return read_checkpoint(resume);
}

std::string epoch_checkpoint_name(int epoch) {
  std::string number = std::to_string(epoch);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  return "epoch-" + number;
}

std::optional<Checkpoint> find_checkpoint(const std::filesystem::path& out, RunObserver& observer) {
  const std::filesystem::path folder = RunFolder(out).checkpoints();
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  struct Candidate {
    std::int64_t steps;
    bool last;
    std::filesystem::path path;
  };
  std::vector<Candidate> candidates;
  int files = 0;
  // What a failing disk does not give says nothing of the file: to go on from an older one would
  // overwrite it.
  const auto pass_over = [&](const Error& error) {
    if (dynamic_cast<const SystemError*>(&error) != nullptr) throw;
    observer.note(message("passed over: ", error.what()));
  };
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    try {
      const std::int64_t steps = steps_taken(read_safetensors_header(entry.path()).metadata);
      candidates.push_back({steps, entry.path().stem() == "last", entry.path()});
    } catch (const Error& error) {
      pass_over(error);
    }
  }
  std::ranges::sort(candidates, std::greater(), [](const Candidate& candidate) {
    return std::tuple(candidate.steps, candidate.last, candidate.path);
  });
  for (const Candidate& candidate : candidates) {
    try {
      return read_checkpoint(candidate.path);
    } catch (const Error& error) {
      pass_over(error);
    }
  }
  CHECK(files == 0, folder.string(), ": none of the ", files,
        " checkpoints is whole, so there is nothing to resume; move them away to start anew");
  return std::nullopt;
}

}  // namespace invp
