// invp checkpoint verify: reads every byte of checkpoints, exports and runs, and says what is
// whole.
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "invp/method/neighbor_graph.h"
#include "invp/report/text/metrics_writer.h"
#include "invp/report/text/progress.h"
#include "invp/run/run_metadata.h"
#include "tools/options/command.h"

namespace invp::cli {

namespace {

namespace fs = std::filesystem;

/// What a file was found to be.
struct Verdict {
  bool checksums = false;
  std::string what;    ///< "a checkpoint of invp pretrain, epoch 3, step 0"
  std::string reason;  ///< why it is not whole; empty if it is
};

std::string described(const std::map<std::string, std::string>& metadata) {
  const auto word = [&](const char* key) {
    const auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  if (checkpoint_kind(metadata).empty()) return "tensors";
  const std::string command = word("command");
  return message("a checkpoint", command.empty() ? "" : " of ", command, ", epoch ",
                 word("position.epoch"), ", step ", word("position.step"));
}

/// Rows that name images: what damage without checksums would break first.
void check_rows(const TensorSource& source) {
  for (std::size_t i = 0; i < source.tensors().size(); ++i) {
    if (source.tensors()[i].name != "neighbors" || checkpoint_kind(source.metadata()).empty())
      continue;
    const Tensor rows = source.tensor(i);
    try {
      NeighborGraph(rows).set_rows(rows);
    } catch (const Error& error) {
      fail(source.path(), ": ", error.what());
    }
  }
}

Verdict verdict_on_tensors(const fs::path& file) {
  ProgressBar bar("reading " + file.filename().string(), "bytes");
  std::error_code unknown;
  const auto size = static_cast<std::int64_t>(fs::file_size(file, unknown));
  const auto told = [&](std::uint64_t bytes) { bar.show(static_cast<std::int64_t>(bytes), size); };
  Verdict verdict;
  const std::unique_ptr<TensorSource> source = open_weights(file);
  if (file.extension() == ".safetensors") {
    check_safetensors(file, told);
  } else {
    std::uint64_t done = 0;
    for (std::size_t i = 0; i < source->tensors().size(); ++i) {
      source->bytes(i);
      told(done += source->tensors()[i].bytes);
    }
  }
  verdict.checksums = source->has_checksums();
  verdict.what = described(source->metadata());
  check_rows(*source);
  return verdict;
}

Verdict verdict_on(const fs::path& file) {
  try {
    if (file.extension() != ".jsonl") return verdict_on_tensors(file);
    return {.what = message("metrics of ", read_metrics(file).size(), " epochs"), .reason = {}};
  } catch (const Error& error) {
    return {.what = {}, .reason = error.what()};
  }
}

/// The files of a run that can be verified, sorted; or the file itself.
std::vector<fs::path> files_of(const fs::path& path) {
  CHECK(fs::exists(path), path.string(), ": no such file or folder");
  if (!fs::is_directory(path)) return {path};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(path)) {
    const bool known =
        entry.path().extension() == ".safetensors" || entry.path().filename() == "metrics.jsonl";
    if (known && entry.is_regular_file()) files.push_back(entry.path());
  }
  CHECK(!files.empty(), path.string(),
        ": no .safetensors file and no metrics.jsonl in this folder");
  std::ranges::sort(files);
  return files;
}

class VerifyCommand : public Command {
 public:
  CommandText text() const override {
    return {.name = "checkpoint verify",
            .arguments = "FILE|RUN...",
            .summary = "read all of a checkpoint or run and say what is whole",
            .description =
                "Reads every byte of checkpoints, features and exported weights and compares the\n"
                "checksums that they hold; of a run folder, all of its .safetensors files and\n"
                "metrics.jsonl. Files of others and of earlier versions have no checksums: they\n"
                "are read to their end, which is all that can be said of them. Ends with 1 if\n"
                "anything is not whole.\n",
            .examples =
                "  invp checkpoint verify runs/cifar10\n"
                "  invp checkpoint verify runs/cifar10/checkpoints/last.safetensors --json\n"};
  }

  void declare(Options& options) override {
    options.positionals("FILE|RUN...", paths_, "files or run folders; one or more");
  }

  Results run() override {
    Results files = Results::array();
    for (const std::string& path : paths_) {
      for (const fs::path& file : files_of(path)) {
        const Verdict verdict = verdict_on(file);
        tell(file, verdict);
        files.push_back({{"file", file.string()},
                         {"whole", verdict.reason.empty()},
                         {"checksums", verdict.checksums},
                         {"reason", verdict.reason}});
        damaged_ += !verdict.reason.empty();
      }
    }
    const std::int64_t whole = std::ssize(files) - damaged_;
    std::cout << counted(whole, "file") << " whole, " << damaged_ << " not\n";
    return {{"files", files}, {"whole", whole}, {"damaged", damaged_}};
  }

  int exit_code() const override { return damaged_ > 0 ? 1 : 0; }

 private:
  static void tell(const fs::path& file, const Verdict& verdict) {
    if (!verdict.reason.empty()) {
      std::cout << printable("  NOT WHOLE: " + verdict.reason) << '\n';
      return;
    }
    const bool tensors = file.extension() != ".jsonl";
    std::cout << printable(message("  whole: ", file.string(), ": ", verdict.what,
                                   verdict.checksums || !tensors ? "" : "; without checksums"))
              << '\n';
  }

  std::vector<std::string> paths_;
  std::int64_t damaged_ = 0;
};

}  // namespace

void add_checkpoint_verify(Commands& commands) {
  commands.push_back(std::make_unique<VerifyCommand>());
}

}  // namespace invp::cli
