// The plain form, one picture per thread: what the GPU's kernel is compared with, and what pictures
// that were prepared for a GPU get without one. The loader's workers have faster steps (data/).
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/image/augment_picture.h"

namespace invp::cpu {

namespace {

struct OneThread {
  template <class F>
  void each(int rows, int columns, const F& f) const {
    for (int row = 0; row < rows; ++row) {
      for (int column = 0; column < columns; ++column) f(row, column);
    }
  }
  template <class F>
  std::int64_t total(int rows, int columns, const F& f) const {
    std::int64_t sum = 0;
    each(rows, columns, [&](int row, int column) { sum += f(row, column); });
    return sum;
  }
  void meet() const {}
};

template <class T, int kChannels>
void augment_range(const Tensor& pixels, std::span<const AugmentTask> tasks,
                   const AugmentOutput& output, OutputPixel<T, kChannels>* y) {
  const auto area = static_cast<std::size_t>(output.size) * static_cast<std::size_t>(output.size);
  std::vector<std::uint8_t> picture(3 * area);
  std::vector<std::byte> scratch;
  AugmentTables tables;
  for (const AugmentTask& task : tasks) {
    scratch.resize(std::max(scratch.size(), AugmentScratch(task, output.size).bytes));
    augment_picture<T, kChannels>(OneThread{}, task, output, pixels.data<std::uint8_t>(),
                                  scratch.data(), picture.data(), tables, y);
    y += area;
  }
}

}  // namespace

void augment_images(const Tensor& pixels, std::span<const AugmentTask> tasks,
                    const AugmentOutput& output, const Tensor& y) {
  const std::int64_t area = std::int64_t{output.size} * output.size;
  const auto run = [&]<class T, int kChannels>(OutputPixel<T, kChannels>* out) {
    parallel_for(0, std::ssize(tasks), 1, [&](std::int64_t begin, std::int64_t end) {
      augment_range<T, kChannels>(
          pixels,
          tasks.subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)),
          output, out + begin * area);
    });
  };
  dispatch_floating(output.dtype, "augment_images", [&]<class T>(T) {
    if (output.channels == 3) {
      run(static_cast<OutputPixel<T, 3>*>(y.raw()));
    } else {
      run(static_cast<OutputPixel<T, 8>*>(y.raw()));
    }
  });
}

}  // namespace invp::cpu
