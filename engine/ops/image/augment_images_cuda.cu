// One block makes one picture. Its 3 S^2 bytes stay in shared memory from the resize to the store,
// where they fit (up to S = 277 on an H100); else they lie in the scratch memory of the picture.
//
// Budget of a 224 x 224 picture from a crop of 340 KB: that much read, 200 KB written and read
// again between the passes of the resize (they stay in the second-level cache), 602 KB (f32) or 803
// KB (bf16, 8 channels) written, so some 1.1 MB; 128 of them are 45 us of an H100's memory. The
// time is that of a single block's arithmetic: 150,528 bytes six times over in the blur alone.
#include <vector>

#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/image/augment_picture.h"

namespace invp::cuda {

namespace {

/// The threads of a block: warps take rows, lanes columns.
struct Block {
  template <class F>
  __device__ void each(int rows, int columns, const F& f) const {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int warps = static_cast<int>(blockDim.x) / kWarp;
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    if (rows < warps) {  // a table: all threads along its columns
      for (int row = 0; row < rows; ++row) {
        for (int c = static_cast<int>(threadIdx.x); c < columns; c += static_cast<int>(blockDim.x))
          f(row, c);
      }
      return;
    }
    for (int row = warp; row < rows; row += warps) {
#pragma unroll 1  // the registers of a whole picture's code are few; other warps hide the latency
      for (int column = lane; column < columns; column += kWarp) f(row, column);
    }
  }
  template <class F>
  __device__ std::int64_t total(int rows, int columns, const F& f) const {
    std::int64_t sum = 0;
    each(rows, columns, [&](int row, int column) { sum += f(row, column); });
    return reduce_block(sum, Plus{});
  }
  __device__ void meet() const {
    __syncthreads();
  }
};

constexpr int kThreads = 1024;

/// Where the scratch memory of each picture begins is `places`; `in_shared` says whether the
/// picture itself is in shared memory or at the end of its scratch.
template <class T, int kChannels>
__global__ void __launch_bounds__(kThreads)
    augment_blocks(const AugmentTask* tasks, const std::int64_t* places, AugmentOutput output,
                   bool in_shared, const std::uint8_t* pixels, std::byte* scratch,
                   OutputPixel<T, kChannels>* y) {
  __shared__ AugmentTables tables;
  __shared__ AugmentTask task;
  if (threadIdx.x == 0) task = tasks[blockIdx.x];
  __syncthreads();
  const std::int64_t area = static_cast<std::int64_t>(output.size) * output.size;
  std::byte* const room = scratch + places[blockIdx.x];
  std::uint8_t* const picture =
      in_shared ? dynamic_shared<std::uint8_t>()
                : reinterpret_cast<std::uint8_t*>(room + AugmentScratch(task, output.size).bytes);
  augment_picture<T, kChannels>(Block{}, task, output, pixels, room, picture, tables,
                                y + blockIdx.x * area);
}

template <class T>
Tensor upload(const std::vector<T>& values, Device device) {
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(values.data()),
                        values.size() * sizeof(T));
  return Tensor::from(bytes, {std::ssize(bytes)}, device);
}

}  // namespace

void augment_images(const Tensor& pixels, std::span<const AugmentTask> tasks,
                    const AugmentOutput& output, const Tensor& y) {
  if (tasks.empty()) return;
  const Context& gpu = context(y.device());
  const std::size_t picture_bytes = static_cast<std::size_t>(output.size) * output.size * 3;
  constexpr std::size_t kStatic = sizeof(AugmentTables) + sizeof(AugmentTask) + 1024;
  const bool in_shared = picture_bytes + kStatic <= gpu.properties().sharedMemPerBlockOptin;

  std::vector<std::int64_t> places;
  std::size_t bytes = 0;
  for (const AugmentTask& task : tasks) {
    places.push_back(static_cast<std::int64_t>(bytes));
    bytes += AugmentScratch(task, output.size).bytes;
    if (!in_shared) bytes += (picture_bytes + 15) / 16 * 16;
  }
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor scratch = Tensor::empty({static_cast<std::int64_t>(bytes)}, DType::kU8, y.device());
  const Tensor device_tasks = upload(std::vector(tasks.begin(), tasks.end()), y.device());
  const Tensor device_places = upload(places, y.device());
  // Small pictures: several blocks share a multiprocessor.
  const unsigned threads = output.size >= 128 ? kThreads : kThreads / 4;
  const Grid grid{.blocks = dim3(static_cast<unsigned>(tasks.size())),
                  .threads = dim3(threads),
                  .shared_bytes = in_shared ? picture_bytes : 0};
  const auto run = [&]<class T, int kChannels>(OutputPixel<T, kChannels>* out) {
    launch(gpu, grid, augment_blocks<T, kChannels>,
           static_cast<const AugmentTask*>(device_tasks.raw()),
           static_cast<const std::int64_t*>(device_places.raw()), output, in_shared,
           pixels.data<std::uint8_t>(), static_cast<std::byte*>(scratch.raw()), out);
  };
  dispatch_floating(output.dtype, "augment_images", [&]<class T>(T) {
    if (output.channels == 3) {
      run(static_cast<OutputPixel<T, 3>*>(y.raw()));
    } else {
      run(static_cast<OutputPixel<T, 8>*>(y.raw()));
    }
  });
}

}  // namespace invp::cuda
