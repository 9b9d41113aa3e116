#include "invp/run/run_folder.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "invp/run/checkpoint.h"

namespace invp {

void RunFolder::create() const {
  std::filesystem::create_directories(checkpoints());
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

std::string epoch_checkpoint_name(int epoch) {
  std::string number = std::to_string(epoch);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  return "epoch-" + number;
}

std::optional<std::filesystem::path> find_checkpoint(const std::filesystem::path& out,
                                                     RunObserver& observer) {
  const std::filesystem::path folder = RunFolder(out).checkpoints();
  if (!std::filesystem::is_directory(folder)) return std::nullopt;
  std::vector<std::filesystem::directory_entry> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".safetensors") files.push_back(entry);
  }
  std::ranges::sort(files, [](const auto& a, const auto& b) {
    return a.last_write_time() > b.last_write_time();
  });
  for (const auto& file : files) {
    std::string reason;
    if (is_whole_checkpoint(file.path(), reason)) return file.path();
    observer.note("passed over: " + reason);
  }
  CHECK(files.empty(), folder.string(), ": none of the ", files.size(),
        " checkpoints is whole, so there is nothing to resume; move them away to start anew");
  return std::nullopt;
}

}  // namespace invp
