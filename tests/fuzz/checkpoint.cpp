// The notes that checkpoints of ours carry, written as lines "KEY<tab>VALUE": where the run stood
// and what it was of, of this version and the one before.
#include "engine/files/safetensors.h"
#include "invp/run/identity.h"
#include "invp/run/position.h"
#include "tests/fuzz/fuzz.h"
#include "tools/options/checkpoint_run.h"

namespace invp::fuzz {
namespace {

Metadata metadata_of(std::string_view text) {
  Metadata metadata;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    const std::size_t tab = std::min(line.find('\t'), line.size());
    metadata[std::string(line.substr(0, tab))] = line.substr(std::min(tab + 1, line.size()));
  }
  return metadata;
}

/// What was read is written again, and must read as the same.
void read_twice(const Metadata& metadata, const std::vector<std::string>& losses) {
  constexpr std::int64_t kSteps = 10;
  const Position position = read_position(metadata, losses, kSteps, "checkpoint");
  Metadata written;
  write_position(position, losses, written);
  Metadata again;
  write_position(read_position(written, losses, kSteps, "again"), losses, again);
  if (again != written) fault("a position does not survive being written");
  if (steps_taken(written) != position.progress.step) fault("other steps");
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  const Metadata metadata = fuzz::metadata_of(fuzz::text_of(fuzz::Bytes(data, size)));
  checkpoint_kind(metadata);
  fuzz::reads([&] { cli::exported_run(metadata); });
  fuzz::reads([&] { fuzz::read_twice(metadata, {"loss", "instance"}); });
  fuzz::reads([&] { fuzz::read_twice(metadata, {"loss"}); });
  fuzz::reads([&] { steps_taken(metadata); });
  const RunIdentity identity{.entries = {{.name = "epochs", .value = "10"},
                                         {.name = "lr", .value = "0.03", .otherwise = "0.03"}},
                             .version_1 = {{"augmentation", "224 px, framing 0"}}};
  fuzz::reads([&] { check_identity(metadata, identity, "checkpoint"); });
  static const fuzz::Folder folder;
  const auto path = folder.path() / "checkpoint";
  fuzz::reads([&] {
    write_safetensors(path, {}, metadata);
    const cli::CheckpointRun run = cli::read_checkpoint_run(path);
    AugmentConfig images;
    run.apply(images);
    cli::described_images(images);
  });
  return 0;
}
