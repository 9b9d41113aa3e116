#include "invp/protocols/detection/detect_set.h"

#include <optional>
#include <string>
#include <utility>

#include "data/load/ordered_workers.h"
#include "engine/files/file_reader.h"
#include "invp/protocols/detection/detector_batch.h"

namespace invp {

namespace {

struct ReadPicture {
  TestPicture picture;
  std::string fault;  ///< why there is none; empty if there is one
};

/// Reads the set's pictures ahead of the detector, in order.
class PictureReader {
 public:
  PictureReader(const DetectionSet& set, const DetectSetOptions& options, Device device)
      : set_(set), options_(options), device_(device), workers_(1, kAhead, work()) {
    slots_.resize(workers_.slots());
    places_.resize(workers_.slots());
    workers_.start(0, std::ssize(set.pictures));
  }

  /// Nothing at the end. Valid until the next call.
  const ReadPicture* next() {
    const auto item = workers_.next();
    return item ? &slots_[item->slot] : nullptr;
  }

 private:
  static constexpr int kAhead = 2;

  OrderedWorkers::Work work() {
    return {.begin =
                [this](std::int64_t position, std::size_t slot) {
                  places_[slot] = position;
                  return std::int64_t{1};
                },
            .make = [this](std::size_t slot, std::int64_t, std::size_t) { read(slot); }};
  }

  void read(std::size_t slot) {
    ReadPicture& into = slots_[slot];
    into = {};
    try {
      into.picture = test_picture(read_picture(set_, places_[slot], options_.decode), device_,
                                  places_[slot], options_.short_edge, options_.longest);
    } catch (const SystemError&) {
      throw;
    } catch (const Error& error) {
      into.fault = error.what();
    }
  }

  const DetectionSet& set_;
  const DetectSetOptions options_;
  const Device device_;
  std::vector<ReadPicture> slots_;
  std::vector<std::int64_t> places_;
  OrderedWorkers workers_;  // last: its thread uses what is above
};

}  // namespace

std::vector<FoundObject> detect_picture(FasterRcnn& detector, const TestPicture& picture) {
  const BoxedView& view = picture.group.views.front();
  const std::vector<FoundObject> found =
      detector.detect(detector_input({picture.group}, {}, detector.device()));
  return at_original_size(found, {view.height, view.width}, {picture.height, picture.width});
}

FoundInSet detect_set(FasterRcnn& detector, const DetectionSet& set,
                      const DetectSetOptions& options,
                      const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  detector.train(false);
  const auto total = std::ssize(set.pictures);
  BadImages bad("[detect]", options.max_bad_share, total);
  PictureReader reader(set, options, detector.device());
  FoundInSet found;
  progress(0, total);
  for (std::int64_t row = 0; const ReadPicture* const read = reader.next(); ++row) {
    if (!read->fault.empty()) {
      bad.add(row,
              {.file = set.pictures[static_cast<std::size_t>(row)].name, .reason = read->fault});
      bad.check();
    } else {
      for (const FoundObject& object : detect_picture(detector, read->picture)) {
        Detection detection{.picture = static_cast<std::int32_t>(row),
                            .label = object.label,
                            .score = object.score};
        for (std::size_t i = 0; i < 4; ++i) detection.box[i] = object.box[i];
        found.detections.rows.push_back(detection);
      }
    }
    progress(row + 1, total);
  }
  found.bad = bad.all();
  return found;
}

}  // namespace invp
