#include <algorithm>

#include "data/detection/detections.h"
#include "engine/core/error.h"
#include "engine/files/safetensors.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/text/metrics_writer.h"
#include "invp/run/identity.h"

namespace invp {

namespace {

namespace fs = std::filesystem;

void read_epochs(RunParts& parts, Missing& missing) {
  const fs::path file = parts.run->folder / "metrics.jsonl";
  if (!fs::exists(file)) {
    missing.add(parts, "no curves, there is no metrics.jsonl");
    return;
  }
  std::vector<std::int64_t> bad;
  parts.epochs = read_metrics(file, bad);
  if (!bad.empty()) {
    missing.add(
        parts,
        message(counted(std::ssize(bad), "line"), " of metrics.jsonl cannot be read and ",
                bad.size() == 1 ? "is" : "are", " left out, the first is line ", bad.front()));
  }
  if (parts.epochs.empty()) missing.add(parts, "no curves, no epoch is finished");
}

/// Reads each file of this name; a broken one is added to `missing`.
template <class Part>
void read_each(const RunParts& parts, const char* stem, const char* extension,
               Part (*read)(const fs::path&), std::vector<Part>& into, Missing& missing) {
  for (const fs::path& file : files_named(parts.run->folder, stem, extension)) {
    try {
      into.push_back(read(file));
    } catch (const Error& error) {
      missing.add(parts, message(error.what()));
    }
  }
}

void read_checkpoint(RunParts& parts, Missing& missing) {
  const fs::path file = parts.run->folder / "checkpoints" / "last.safetensors";
  if (!fs::exists(file)) {
    missing.add(parts, "no neighbors or positives, there is no checkpoint");
    return;
  }
  try {
    const TensorFile checkpoint = read_safetensors(file);
    const Tensor* bank = checkpoint.find("bank");
    const Tensor* neighbors = checkpoint.find("neighbors");
    CHECK(bank != nullptr && neighbors != nullptr, "its checkpoint has no memory bank");
    MemoryBank rows(*bank);
    NeighborGraph graph(*neighbors);
    CHECK(rows.size() == graph.size(), "bank and graph of its checkpoint do not fit");
    parts.trained_on = stored_training_images(checkpoint.metadata);
    parts.bank = std::move(rows);
    parts.graph = std::move(graph);
  } catch (const Error& error) {
    missing.add(parts, message("no neighbors or positives: ", error.what()));
  }
}

void open_data(RunParts& parts, Missing& missing) {
  try {
    CHECK(parts.run->open != nullptr, "its settings do not say where the images are");
    parts.train = parts.run->open("train");
  } catch (const Error& error) {
    missing.add(parts, message("no pictures: ", error.what()));
    return;
  }
  if (!parts.bank) return;
  // Rows are images by their places alone: of other images they would show nonsense.
  if (parts.bank->size() != parts.train->size()) {
    missing.add(parts, message("no neighbors or positives, its bank has ", parts.bank->size(),
                               " rows and the data set ", parts.train->size(),
                               " images: not the set it was trained on"));
    parts.bank.reset();
  } else if (!parts.trained_on.empty() && parts.trained_on != training_images(*parts.train).value) {
    missing.add(parts,
                "no neighbors or positives, the data set has other images than those it was "
                "trained on, or another order");
    parts.bank.reset();
  }
}

/// What the last evaluation of a detector wrote, judged again.
void read_found(RunParts& parts, Missing& missing) {
  try {
    CHECK(parts.run->open_boxes != nullptr, "its settings do not say where the boxes are");
    const auto set = std::make_shared<const DetectionSet>(parts.run->open_boxes());
    const Detections found = read_detections(parts.run->folder / "detections", *set);
    parts.detection = detection_part(parts.name(), set, found, evaluate_voc(*set, found),
                                     evaluate_coco(*set, found));
    parts.detection->number = parts.number;
  } catch (const Error& error) {
    missing.add(parts, message("no detections: ", error.what()));
  }
}

/// What commands after pretraining leave in the folder, and the checkpoint's bank.
void read_features(RunParts& parts, Missing& missing) {
  read_each(parts, "layers", ".csv", read_layer_table, parts.layers, missing);
  read_each(parts, "points", ".safetensors", read_plot_points, parts.plots, missing);
  if (parts.layers.empty())
    missing.add(parts, "no layer-wise figure, there is no layers.csv (invp linear)");
  if (parts.plots.empty())
    missing.add(parts, "no t-SNE, there is no points.safetensors (invp tsne)");
  read_checkpoint(parts, missing);
}

}  // namespace

void Missing::add(const std::string& run, const std::string& what) {
  const auto same = std::ranges::find(lines_, what, &Line::what);
  if (same == lines_.end()) {
    lines_.push_back({.runs = run, .what = what});
  } else {
    same->runs += ", " + run;
  }
}
void Missing::add(const RunParts& run, const std::string& what) {
  add(run.name(), what);
}

std::vector<std::string> Missing::lines() const {
  std::vector<std::string> lines;
  for (const Line& line : lines_) lines.push_back(line.runs + ": " + line.what);
  return lines;
}

RunParts read_run(const ReportRun& run, std::size_t number, Missing& missing) {
  CHECK(fs::is_directory(run.folder), run.folder.string(), ": no such run folder");
  RunParts parts;
  parts.run = &run;
  parts.number = number;
  if (run.settings.empty())
    missing.add(parts, "no settings, there is no config.toml that can be read");
  read_epochs(parts, missing);
  // A detector has no bank, and nothing of features.
  parts.detects = fs::is_directory(run.folder / "detections");
  if (parts.detects) {
    read_found(parts, missing);
  } else {
    read_features(parts, missing);
  }
  CHECK(!run.settings.empty() || !parts.epochs.empty() || !parts.layers.empty() ||
            !parts.plots.empty() || parts.bank || parts.detects,
        run.folder.string(),
        ": holds nothing of a run (config.toml, metrics.jsonl, checkpoints, layers.csv, "
        "points.safetensors, detections)");
  if (parts.bank || !parts.plots.empty()) open_data(parts, missing);
  return parts;
}

}  // namespace invp
