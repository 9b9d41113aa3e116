// What a run writes into its folder beside its reports: checkpoints, and the list of the images it
// passed over.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "invp/run/observer.h"

namespace invp {

class RunFolder {
 public:
  explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

  /// Makes it where it is missing. Throws std::filesystem::filesystem_error when that fails.
  void create() const;
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  /// checkpoints/NAME.safetensors
  std::filesystem::path checkpoint(const std::string& name) const;
  /// Writes skipped-images.tsv if there are any.
  void write_skipped_images(const std::vector<BadImage>& images) const;

 private:
  std::filesystem::path path_;
};

/// "epoch-0007": the checkpoint that is kept of an epoch.
std::string epoch_checkpoint_name(int epoch);

/// The newest whole checkpoint of a run folder, for --resume auto; nothing when there is none. One
/// that is cut short is passed over with a note to the observer. Throws Error when none is whole.
std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& out,
                                                     RunObserver& observer);

}  // namespace invp
