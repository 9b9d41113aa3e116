#include "data/synthetic/synthetic.h"

#include <algorithm>
#include <cstdio>
#include <system_error>

#include "data/images/encode.h"
#include "data/synthetic/scene.h"
#include "data/synthetic/set_folder.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/files/atomic_file.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

const char* name_of(SyntheticSplit split) {
  return split == SyntheticSplit::kTrain ? "train" : "val";
}

fs::path file_of(const fs::path& dir, const SynthesizeOptions& options, SyntheticSplit split,
                 std::int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%06lld.jpg",
                static_cast<long long>(index / options.set.classes + 1));
  return dir / name_of(split) / synthetic_class_name(synthetic_label(options.set, index)) / name;
}

}  // namespace

void check(const SyntheticOptions& options) {
  CHECK(options.classes >= 2 && options.classes <= synthetic::kShapes * synthetic::kTextures,
        "[synthetic] 2 to ", synthetic::kShapes * synthetic::kTextures,
        " classes can be drawn, got ", options.classes);
  CHECK(options.size >= 8 && options.size <= 1024,
        "[synthetic] images have 8 to 1024 pixels per side, got ", options.size);
}

int synthetic_label(const SyntheticOptions& options, std::int64_t index) {
  return static_cast<int>(index % options.classes);
}

std::string synthetic_class_name(int label) {
  const synthetic::ClassLook look = synthetic::look_of(label);
  return message(label / 10, label % 10, '-', synthetic::name_of(look.texture), '-',
                 synthetic::name_of(look.shape));
}

Image draw_synthetic(const SyntheticOptions& options, SyntheticSplit split, std::int64_t index) {
  check(options);
  CHECK(index >= 0, "[synthetic] images are numbered from 0, got ", index);
  Random random(options.seed, Purpose::kSynthetic, static_cast<std::uint64_t>(split),
                static_cast<std::uint64_t>(index));
  const auto look = synthetic::look_of(synthetic_label(options, index));
  const synthetic::Scene scene = synthetic::compose(look, random);
  return synthetic::draw(scene, options.size, random);
}

void make_set_folder(const fs::path& dir) {
  std::error_code error;
  fs::create_directories(dir, error);
  CHECK(!error, "[synthesize] cannot make folder ", dir.string(), ": ", error.message());
}

void check_new_set(const fs::path& dir, const SynthesizeOptions& options) {
  check(options.set);
  CHECK(options.train >= 0 && options.val >= 0, "[synthesize] counts are 0 or more, got ",
        options.train, " and ", options.val);
  std::error_code error;
  const bool taken = fs::exists(dir, error) && !fs::is_empty(dir, error);
  CHECK(!taken && !error, "[synthesize] ", dir.string(),
        " is not an empty folder: name a new one, or empty it first");
}

void synthesize(const fs::path& dir, const SynthesizeOptions& options,
                const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check_new_set(dir, options);
  const JpegOptions jpeg{.quality = options.jpeg_quality, .subsampling = Subsampling::k444};
  const std::int64_t total = options.train + options.val;
  constexpr std::int64_t kChunk = 256;  // between two calls of progress
  std::int64_t done = 0;
  for (const SyntheticSplit split : {SyntheticSplit::kTrain, SyntheticSplit::kVal}) {
    const std::int64_t count = split == SyntheticSplit::kTrain ? options.train : options.val;
    for (int label = 0; label < std::min<std::int64_t>(count, options.set.classes); ++label) {
      make_set_folder(dir / name_of(split) / synthetic_class_name(label));
    }
    for (std::int64_t begin = 0; begin < count; begin += kChunk) {
      const std::int64_t end = std::min(begin + kChunk, count);
      parallel_for(begin, end, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t i = first; i < last; ++i) {
          write_file(file_of(dir, options, split, i),
                     encode_jpeg(draw_synthetic(options.set, split, i), jpeg), Flush::kNo);
        }
      });
      done += end - begin;
      if (progress) progress(done, total);
    }
  }
}

}  // namespace invp
