#include "invp/protocols/detection/detection_source.h"

#include <utility>

#include "engine/core/cpu_share.h"
#include "engine/core/error.h"

namespace invp {

DetectionSource::DetectionSource(const DetectionSet& set, const DetectionLoaderOptions& options,
                                 std::int64_t iterations_per_epoch, Device device)
    : batches_(set, options),
      iterations_(iterations_per_epoch),
      workers_(options.workers),
      device_(device) {
  CHECK(iterations_ >= 1, "[loader] an epoch has at least 1 iteration, got ", iterations_);
}

void DetectionSource::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  CHECK(epoch >= 1, "[loader] epochs of detection count from 1, got ", epoch);
  CHECK(first_batch >= 0 && first_batch <= iterations_, "[loader] an epoch has ", iterations_,
        " batches, it cannot begin at ", first_batch);
  first_ = (epoch - 1) * iterations_;
  if (at_ != first_ + first_batch) batches_.start(first_ + first_batch);
  at_ = first_ + first_batch;
}

std::optional<Batch> DetectionSource::next() {
  CHECK(at_ >= 0, "[loader] start_epoch() says where to begin");
  if (at_ == first_ + iterations_) return std::nullopt;
  const std::int64_t iteration = std::exchange(at_, -1);  // after an Error it must be started again
  Batch batch = batches_.next();
  at_ = iteration + 1;
  batch.position = iteration - first_;
  const MemoryScope scope(MemoryUse::kData);
  for (BoxedGroup& group : batch.groups) group.images = group.images.to(device_);
  return batch;
}

DataWait DetectionSource::reading() const {
  return {.workers = workers_, .cores = usable_cores(), .boxes = true};
}

}  // namespace invp
