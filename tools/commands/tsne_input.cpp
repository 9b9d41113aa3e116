#include "tools/commands/tsne_input.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <map>

#include "data/sets/subset.h"
#include "engine/core/random.h"
#include "engine/files/safetensors.h"
#include "tools/options/evaluated_network.h"

namespace invp::cli {

namespace {

std::vector<std::int64_t> whole_numbers(const TensorFile& file, const char* name,
                                        const std::string& path, std::int64_t count) {
  const Tensor* tensor = file.find(name);
  CHECK(tensor != nullptr && tensor->dtype() == DType::kI64 && tensor->numel() == count, path,
        ": no '", name, "' [", count, "] i64 beside the features; invp extract writes them");
  const auto values = tensor->span<std::int64_t>();
  return {values.begin(), values.end()};
}

Tensor rows_of(const Tensor& features, const std::vector<std::int64_t>& rows) {
  const std::int64_t d = features.dim(1);
  const Tensor taken = Tensor::empty({std::ssize(rows), d});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    std::copy_n(features.data<float>() + rows[i] * d, d,
                taken.data<float>() + static_cast<std::int64_t>(i) * d);
  }
  return taken;
}

std::vector<std::int64_t> taken(const std::vector<std::int64_t>& values,
                                const std::vector<std::int64_t>& rows) {
  std::vector<std::int64_t> result;
  for (const std::int64_t row : rows) result.push_back(values[static_cast<std::size_t>(row)]);
  return result;
}

}  // namespace

void TsneInputs::declare(Options& options) {
  options.main_group("Features");
  options
      .repeated("features", files_, "FILE",
                "features that invp extract wrote; again: another map beside the first")
      .needed();
  options
      .repeated("checkpoint", checkpoints_, "FILE",
                "or a network, which makes them of --data; again: another map")
      .needed();
  options.repeated("name", names_, "TEXT", "title of a map, in the order of the files");
  options.text("layer", layer_, "NAME", "layer of the network: head, pool or block1..block17");
  options.text("split", split_, "NAME", "split of the data: train, val or test");
  options.integer("first-classes", first_classes_, {0, 1e9}, "only the first N classes; 0: all");
  options.integer("per-class", per_class_, {0, 1e9},
                  "only N images per class, drawn by --seed; 0: all");
  options.group("Network");
  declare_evaluation(options, network_);
  declare_data(options, data_);
}

std::unique_ptr<Dataset> TsneInputs::open(const std::string& split) const {
  if (data_.path.empty() && data_.format != "synthetic") return nullptr;
  return open_split(data_source(data_), split);
}

std::vector<TsneInput> TsneInputs::read(const Compute& compute) const {
  if (files_.empty() == checkpoints_.empty()) {
    throw UsageError(
        "--features FILE or --checkpoint FILE with --data PATH: one of them says what to map");
  }
  std::vector<TsneInput> inputs;
  for (const std::string& file : files_) inputs.push_back(from_file(file, compute.seed));
  if (!checkpoints_.empty()) {
    const std::unique_ptr<Dataset> all = open_split(data_source(data_), split_);
    std::vector<std::int64_t> labels;
    for (std::int64_t i = 0; i < all->size(); ++i) labels.push_back(all->label(i));
    const std::vector<std::int64_t> rows = chosen(labels, compute.seed);
    const std::unique_ptr<Dataset> some = subset(*all, rows);
    for (const std::string& checkpoint : checkpoints_) {
      TsneInput input = from_network(checkpoint, *some, compute);
      input.indices = taken(rows, input.indices);
      inputs.push_back(std::move(input));
    }
  }
  for (std::size_t i = 0; i < std::min(names_.size(), inputs.size()); ++i)
    inputs[i].name = names_[i];
  return inputs;
}

TsneInput TsneInputs::from_file(const std::string& path, std::uint64_t seed) const {
  const TensorFile file = read_safetensors(path);
  tell_unproven(path, file.has_checksums);
  const Tensor* features = file.find("features");
  CHECK(features != nullptr && features->rank() == 2 && features->dtype() == DType::kF32, path,
        ": no 'features' [n, d] f32; invp extract writes them");
  const std::int64_t n = features->dim(0);
  const std::vector<std::int64_t> labels = whole_numbers(file, "labels", path, n);
  const std::vector<std::int64_t> rows = chosen(labels, seed);
  const auto word = [&](const char* key) {
    const auto found = file.metadata.find(key);
    return found == file.metadata.end() ? std::string() : found->second;
  };
  const std::string classes = word("classes");
  const std::string split = word("split");
  return {.name = std::filesystem::path(path).stem().string(),
          .features = rows_of(*features, rows),
          .labels = taken(labels, rows),
          .indices = taken(whole_numbers(file, "indices", path, n), rows),
          .split = split.empty() ? split_ : split,
          .classes = classes.empty() ? std::vector<std::string>{} : cli::split(classes, '\n')};
}

TsneInput TsneInputs::from_network(const std::string& checkpoint, const Dataset& dataset,
                                   const Compute& compute) const {
  CheckpointOptions options = network_;
  options.checkpoint = checkpoint;
  EvaluatedNetwork network(options, layer_, compute);
  std::cerr << network.lines() << '\n';
  Features features = network.features(dataset, worker_count(data_), "images of " + split_);
  return {.name = std::filesystem::path(checkpoint).stem().string(),
          .features = features.features,
          .labels = std::move(features.labels),
          .indices = std::move(features.indices),
          .split = split_,
          .classes = dataset.classes()};
}

std::vector<std::int64_t> TsneInputs::chosen(std::span<const std::int64_t> labels,
                                             std::uint64_t seed) const {
  std::map<std::int64_t, std::vector<std::int64_t>> classes;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (first_classes_ == 0 || (labels[i] >= 0 && labels[i] < first_classes_))
      classes[labels[i]].push_back(static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> rows;
  for (auto& [label, members] : classes) {
    if (per_class_ > 0 && std::ssize(members) > per_class_) {
      Random random(seed, Purpose::kSplit, 0, static_cast<std::uint64_t>(label));
      random.shuffle(std::span(members));
      members.resize(static_cast<std::size_t>(per_class_));
    }
    rows.insert(rows.end(), members.begin(), members.end());
  }
  CHECK(!rows.empty(), "there is no image of the first ", first_classes_, " classes");
  std::ranges::sort(rows);
  return rows;
}

}  // namespace invp::cli
