// Forward a block takes a row of bins of a box and a slice of its channels. Backward it takes a row
// of the map, and every thread goes through the boxes that read its cell, in their order: nothing
// is added by two threads.
#include "engine/ops/basic/channel_lanes_cuda.cuh"
#include "engine/ops/detection/roi_plan.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = ChannelBlock::kThreads;

__global__ void fill_plan(RoiPlan plan) {
  const std::int64_t count = plan.count * plan.bins();
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) plan.fill(i);
}

/// For every box and cell along an axis the bins that read it, (count, map_height + map_width).
__global__ void find_readers(RoiPlan plan, RoiSpan* readers) {
  const std::int64_t cells = plan.map_height + plan.map_width;
  for (std::int64_t i = thread_in_grid(); i < plan.count * cells; i += threads_in_grid()) {
    const std::int64_t box = i / cells;
    const bool rows = i % cells < plan.map_height;
    const std::int64_t cell = rows ? i % cells : i % cells - plan.map_height;
    RoiSpan found{0, 0};
    const std::int64_t bins = rows ? plan.rows() : plan.columns();
    for (std::int64_t bin = 0; bin < bins; ++bin) {
      const RoiSpan span = rows ? plan.row_span(box, bin) : plan.column_span(box, bin);
      if (!span.contains(cell)) continue;
      if (found.first == found.end) found.first = static_cast<std::int32_t>(bin);
      found.end = static_cast<std::int32_t>(bin + 1);
    }
    readers[i] = found;
  }
}

template <class T, int Lanes>
__global__ void __launch_bounds__(kThreads)
    pool(RoiPlan plan, std::int64_t channels, const T* x, T* y) {
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= channels) return;
  const std::int64_t box = blockIdx.x / plan.rows();
  const std::int64_t p = blockIdx.x % plan.rows();
  const std::int64_t picture = plan.picture(box);
  const T* const map =
      x + (picture < 0 ? 0 : picture) * plan.map_height * plan.map_width * channels + channel;
  const RoiSpan rows = plan.row_span(box, p);
  const float* const row_weights = plan.row_weights(box, p);
  for (std::int64_t q = threadIdx.y; q < plan.columns(); q += blockDim.y) {
    const RoiSpan columns = plan.column_span(box, q);
    const float* const column_weights = plan.column_weights(box, q);
    float total[Lanes] = {};
    for (std::int64_t h = rows.first; h < rows.end; ++h) {
      for (std::int64_t w = columns.first; w < columns.end; ++w) {
        const float weight = row_weights[h] * column_weights[w];
        const Pack<T, Lanes> cell = load<Lanes>(map + (h * plan.map_width + w) * channels);
#pragma unroll
        for (int l = 0; l < Lanes; ++l) {
          total[l] = fmaf(weight, static_cast<float>(cell.lane[l]), total[l]);
        }
      }
    }
    Pack<T, Lanes> out;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) out.lane[l] = T(total[l]);
    store<Lanes>(y + (blockIdx.x * plan.columns() + q) * channels + channel, out);
  }
}

/// total += what one box gives back to the cell (h, w).
template <int Lanes, class T>
__device__ void add_box(const RoiPlan& plan, std::int64_t box, const RoiSpan* readers,
                        std::int64_t h, std::int64_t w, std::int64_t channels, const T* dy,
                        float (&total)[Lanes]) {
  const RoiSpan rows = readers[h];
  if (rows.first == rows.end) return;
  const RoiSpan columns = readers[plan.map_height + w];
  for (std::int64_t p = rows.first; p < rows.end; ++p) {
    if (!plan.row_span(box, p).contains(h)) continue;
    const float row_weight = plan.row_weights(box, p)[h];
    for (std::int64_t q = columns.first; q < columns.end; ++q) {
      if (!plan.column_span(box, q).contains(w)) continue;
      const float weight = row_weight * plan.column_weights(box, q)[w];
      const std::int64_t bin = (box * plan.rows() + p) * plan.columns() + q;
      const Pack<T, Lanes> up = load<Lanes>(dy + bin * channels);
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        total[l] = fmaf(weight, static_cast<float>(up.lane[l]), total[l]);
      }
    }
  }
}

template <class T, int Lanes>
__global__ void __launch_bounds__(kThreads)
    spread(RoiPlan plan, const RoiSpan* readers, std::int64_t channels, const T* dy, T* dx) {
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= channels) return;
  const std::int64_t picture = blockIdx.x / plan.map_height;
  const std::int64_t h = blockIdx.x % plan.map_height;
  const std::int64_t cells = plan.map_height + plan.map_width;
  for (std::int64_t w = threadIdx.y; w < plan.map_width; w += blockDim.y) {
    float total[Lanes] = {};
    for (std::int64_t box = 0; box < plan.count; ++box) {
      if (plan.picture(box) != picture) continue;
      add_box(plan, box, readers + box * cells, h, w, channels, dy + channel, total);
    }
    Pack<T, Lanes> down;
#pragma unroll
    for (int l = 0; l < Lanes; ++l) down.lane[l] = T(total[l]);
    store<Lanes>(dx + (blockIdx.x * plan.map_width + w) * channels + channel, down);
  }
}

void fill(const Context& gpu, const RoiPlan& plan) {
  if (plan.count > 0) launch(gpu, grid_for(gpu, plan.count * plan.bins()), fill_plan, plan);
}

}  // namespace

void roi_align_forward(const RoiAlignParams& params, const Tensor& x, const Tensor& boxes,
                       const Tensor& y) {
  if (y.numel() == 0) return;
  const Context& gpu = context(x.device());
  const RoiPlanMemory memory(params, x.shape(), boxes);
  fill(gpu, memory.plan);
  const std::int64_t channels = x.dim(3);
  dispatch_floating(x.dtype(), "roi_align", [&]<class T>(T) {
    dispatch_lanes<T>(channels, {x, y}, [&](auto lanes) {
      launch(gpu, ChannelBlock(channels, lanes).grid(boxes.dim(0) * params.rows()), pool<T, lanes>,
             memory.plan, channels, x.data<T>(), y.data<T>());
    });
  });
}

void roi_align_backward(const RoiAlignParams& params, const Tensor& dy, const Tensor& boxes,
                        const Tensor& dx) {
  if (dx.numel() == 0) return;
  const Context& gpu = context(dx.device());
  const RoiPlanMemory memory(params, dx.shape(), boxes);
  const RoiPlan& plan = memory.plan;
  fill(gpu, plan);
  const MemoryScope scope(MemoryUse::kWorkspace);
  const std::int64_t cells = plan.count * (plan.map_height + plan.map_width);
  const Tensor readers =
      Tensor::empty({cells, static_cast<std::int64_t>(sizeof(RoiSpan))}, DType::kU8, dx.device());
  auto* const first = static_cast<RoiSpan*>(readers.raw());
  if (cells > 0) launch(gpu, grid_for(gpu, cells), find_readers, plan, first);
  const std::int64_t channels = dx.dim(3);
  dispatch_floating(dx.dtype(), "roi_align", [&]<class T>(T) {
    dispatch_lanes<T>(channels, {dy, dx}, [&](auto lanes) {
      launch(gpu, ChannelBlock(channels, lanes).grid(dx.dim(0) * plan.map_height), spread<T, lanes>,
             plan, first, channels, dy.data<T>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
