// The folder of a run: its checkpoints, which of them a run goes on from, and which process writes
// there.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "invp/run/checkpoint.h"
#include "invp/run/observer.h"

namespace invp {

/// Held by the process that writes to a run folder, and given up with it, however it ends.
class FolderLock {
 public:
  /// Throws Error naming the process that writes there already.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
};

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  /// checkpoints/NAME.safetensors
  std::filesystem::path checkpoint(const std::string& name) const;

  /// Makes it where it is missing, and removes what killed writers left. For its writer alone.
  /// Throws Error when that fails.
  void prepare() const;
  /// Writes skipped-images.tsv if there are any.
  void write_skipped_images(const std::vector<BadImage>& images) const;

  /// What --resume asks for: nothing when it is empty, for "auto" the checkpoint that is furthest
  /// on, if there is one, else the file. Throws Error when the folder holds a run and nothing is to
  /// be resumed, when none of the folder's checkpoints is whole, or when the file is not, or not
  /// there.
  std::optional<Checkpoint> to_resume(const std::string& resume, RunObserver& observer) const;
  /// Is the file one of the folder's checkpoints?
  bool holds(const std::filesystem::path& checkpoint) const;

 private:
  std::filesystem::path path_;
};

/// "epoch-0007": the checkpoint that is kept of an epoch.
std::string epoch_checkpoint_name(int epoch);

/// The whole checkpoint of a run folder that is furthest on, for --resume auto: the most steps, and
/// of several `last`. Nothing when there is none. One that is cut short or damaged is passed over
/// with a note to the observer that says why. Throws Error when none is whole.
std::optional<Checkpoint> find_checkpoint(const std::filesystem::path& out, RunObserver& observer);

}  // namespace invp
