#include "invp/protocols/linear/cached_features.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "engine/core/parallel.h"
#include "engine/core/stop.h"

namespace invp {

bool can_cache(const AugmentConfig& augment) {
  return augment.framing == Framing::kCenterCrop && augment.jitter_prob == 0 &&
         augment.gray_prob == 0 && augment.blur_prob == 0;
}

CachedFeatures::CachedFeatures(ResNet& network, const std::vector<TapLayer>& layers,
                               const Dataset& dataset, const AugmentConfig& augment,
                               const LoaderOptions& options, const Progress& progress,
                               std::shared_ptr<Communicator> ranks)
    : dataset_(dataset),
      augment_(augment),
      options_(options),
      there_(static_cast<std::size_t>(dataset.size()), true),
      ranks_(std::move(ranks)),
      order_(static_cast<std::size_t>(dataset.size())) {
  CHECK(can_cache(augment), "[linear] features of pictures that chance cuts or colors cannot be ",
        "kept: every epoch sees others");
  const bool both = augment.flip_prob > 0 && augment.flip_prob < 1;
  const std::int64_t total = dataset.size() * (both ? 2 : 1);
  for (const double flip_prob :
       both ? std::vector<double>{0, 1} : std::vector<double>{augment.flip_prob}) {
    const std::int64_t before = std::ssize(passes_) * dataset.size();
    passes_.push_back(run(network, layers, flip_prob,
                          [&](std::int64_t done) { progress(before + done, total); }));
  }
}

CachedFeatures::Pass CachedFeatures::run(ResNet& network, const std::vector<TapLayer>& layers,
                                         double flip_prob,
                                         const std::function<void(std::int64_t done)>& progress) {
  const MemoryScope scope(MemoryUse::kData);
  Pass pass;
  for (const TapLayer& layer : layers)
    pass.push_back(Tensor::empty({dataset_.size(), layer.dims()}));
  AugmentConfig augment = augment_;
  augment.flip_prob = flip_prob;
  LoaderOptions options = options_;
  options.shuffle = false;
  options.part = {};
  const Ranks here = ranks_->ranks();
  options.turns = here.size;
  options.turn = here.rank;
  if (here.size > 1) options.max_bad_share = 1;  // counted over all
  BatchFeed feed(dataset_, augment, options, network.device());
  feed.start_epoch(0);
  std::int64_t done = 0;
  while (const std::optional<Batch> batch = feed.next()) {
    pooled_taps(network, batch->images, layers, [&](std::size_t k, const Tensor& features) {
      const Tensor host = features.to(kCpu);
      for (std::size_t row = 0; row < batch->indices.size(); ++row) {
        const auto from = static_cast<std::int64_t>(row);
        const std::int64_t to = batch->indices[row];
        pass[k].slice(to, to + 1).copy_from(host.slice(from, from + 1));
      }
    });
    done += std::ssize(batch->indices) * here.size;
    progress(std::min(done, dataset_.size()));
  }
  bad_ = gather_bad(*ranks_, bad_of_feed(feed));
  std::ranges::sort(bad_, {}, &BadOfRank::first);
  BadImages accepted("[loader]", options_.max_bad_share, dataset_.size());
  for (const auto& [index, image] : bad_) {
    accepted.add(index, image);
    there_[static_cast<std::size_t>(index)] = false;
  }
  accepted.check();
  share(pass);
  return pass;
}

/// Gives all ranks the rows of every batch.
void CachedFeatures::share(const Pass& pass) {
  const int size = ranks_->ranks().size;
  if (size == 1) return;
  for (std::int64_t batch = 0; batch < batches_per_epoch(); ++batch) {
    const std::int64_t first = batch * options_.batch_size;
    const std::int64_t last = std::min(first + options_.batch_size, dataset_.size());
    for (const Tensor& layer : pass)
      ranks_->broadcast("features", layer.slice(first, last), static_cast<int>(batch % size));
  }
}

std::vector<BadImage> CachedFeatures::bad_images() {
  std::vector<BadImage> images;
  for (const auto& [index, image] : bad_) images.push_back(image);
  return images;
}

std::vector<BadPlace> CachedFeatures::bad_places() {
  BadImages bad("[loader]", 1, dataset_.size());
  for (const auto& [index, image] : bad_) bad.add(index, image);
  return bad.places();
}

std::int64_t CachedFeatures::bytes() const {
  std::size_t bytes = 0;
  for (const Pass& pass : passes_) {
    for (const Tensor& layer : pass) bytes += layer.nbytes();
  }
  return static_cast<std::int64_t>(bytes);
}

std::int64_t CachedFeatures::batches_per_epoch() const {
  return (dataset_.size() + options_.batch_size - 1) / options_.batch_size;
}

void CachedFeatures::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  epoch_ = epoch;
  next_ = first_batch;
  std::iota(order_.begin(), order_.end(), 0);
  if (!options_.shuffle) return;
  Random random(options_.seed, Purpose::kOrder, static_cast<std::uint64_t>(epoch));
  random.shuffle(std::span(order_));
}

// As the loader draws it. What stands before the mirroring takes no draws that depend on the
// picture's size, so that any size will do.
bool CachedFeatures::mirrored(std::int64_t index) const {
  Random random(options_.seed, Purpose::kAugmentation, static_cast<std::uint64_t>(epoch_),
                static_cast<std::uint64_t>(index));
  return draw_parameters(augment_, augment_.image_size, augment_.image_size, random).flip;
}

std::optional<Batch> CachedFeatures::next() {
  while (next_ < batches_per_epoch()) {
    check_stop();
    Batch batch;
    batch.position = next_++;
    const std::int64_t first = batch.position * options_.batch_size;
    const std::int64_t last = std::min(first + options_.batch_size, dataset_.size());
    batch.planned = last - first;
    const RowRange own = options_.part.rows(batch.planned);
    for (std::int64_t row = own.first; row < own.last; ++row) {
      const std::int64_t index = order_[static_cast<std::size_t>(first + row)];
      if (!there_[static_cast<std::size_t>(index)]) continue;
      batch.indices.push_back(index);
      batch.labels.push_back(dataset_.label(index));
      batch.places.push_back(row);
    }
    if (!batch.indices.empty() || !options_.part.whole()) return batch;
  }
  return std::nullopt;
}

Tensor CachedFeatures::features(std::size_t k, const Batch& batch) const {
  const MemoryScope scope(MemoryUse::kData);
  const std::int64_t dims = passes_.front()[k].dim(1);
  const std::int64_t rows = std::ssize(batch.indices);
  const Tensor features = Tensor::empty({rows, dims});
  parallel_for(0, rows, 8, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t index = batch.indices[static_cast<std::size_t>(i)];
      const Pass& pass = passes_[passes_.size() > 1 && mirrored(index) ? 1 : 0];
      std::memcpy(features.data<float>() + i * dims, pass[k].data<float>() + index * dims,
                  static_cast<std::size_t>(dims) * sizeof(float));
    }
  });
  return features;
}

}  // namespace invp
