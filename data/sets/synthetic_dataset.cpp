#include "data/sets/synthetic_dataset.h"

#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

class SyntheticDataset final : public Dataset {
 public:
  SyntheticDataset(const SyntheticOptions& options, SyntheticSplit split,
                   std::vector<std::int32_t> labels, std::vector<std::string> classes)
      : Dataset("synthetic", std::move(labels), std::move(classes)),
        options_(options),
        split_(split) {}

  std::string name(std::int64_t index) const override {
    place(index);
    return message("synthetic ", split_ == SyntheticSplit::kTrain ? "train" : "val", '[', index,
                   ']');
  }
  void fetch(std::int64_t index, Sample& sample) const override {
    place(index);
    sample.encoded = {};
    sample.drawn = draw_synthetic(options_, split_, index);
    sample.pixels = sample.drawn;
  }

 protected:
  /// The settings, of which each image is a function.
  void add_content(Hash& hash) const override {
    hash.add(options_.seed);
    hash.add(static_cast<std::uint64_t>(options_.classes));
    hash.add(static_cast<std::uint64_t>(options_.size));
    hash.add(static_cast<std::uint64_t>(split_));
  }

 private:
  SyntheticOptions options_;
  SyntheticSplit split_;
};

}  // namespace

std::unique_ptr<Dataset> open_synthetic(const SyntheticOptions& options, SyntheticSplit split,
                                        std::int64_t count) {
  check(options);
  CHECK(count >= 1, "[synthetic] at least 1 image is needed, got ", count);
  std::vector<std::int32_t> labels;
  std::vector<std::string> classes;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(synthetic_label(options, i));
  for (int label = 0; label < options.classes; ++label)
    classes.push_back(synthetic_class_name(label));
  return std::make_unique<SyntheticDataset>(options, split, std::move(labels), std::move(classes));
}

}  // namespace invp
