// The streams of the emulated GPU. A copy is done as soon as it is queued and the events that its
// stream waits for are reached. While a graph is captured, its stream's work goes to the graph
// instead; calls that CUDA forbids meanwhile fail, and so do events, which would be reached in the
// graph alone. Kernels do not wait for events: hold only streams that have nothing but copies
// (emulator::hold).
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "emulator.h"

struct EmulatedGraph {
  std::vector<std::function<void()>> works;
};

struct EmulatedEvent {
  unsigned recorded = 0;  ///< how often; an event that never was counts as reached
  unsigned reached = 0;   ///< how many of these times
};

struct EmulatedStream {
  struct Work {
    EmulatedEvent* awaited = nullptr;
    unsigned until = 0;
    std::function<void()> body;
  };
  std::deque<Work> works;
  bool held = false;
};

namespace emulator {

namespace {

using Work = EmulatedStream::Work;

EmulatedGraph* captured = nullptr;
EmulatedStream* captured_stream = nullptr;
std::mutex mutex;  // guards what follows
std::vector<std::unique_ptr<EmulatedStream>> streams;

/// Does the work of all streams that need not wait.
void go_on() {
  for (bool moved = true; moved;) {
    moved = false;
    for (const auto& stream : streams) {
      while (!stream->held && !stream->works.empty()) {
        const Work& next = stream->works.front();
        if (next.awaited != nullptr && next.awaited->reached < next.until) break;
        if (next.body) next.body();
        stream->works.pop_front();
        moved = true;
      }
    }
  }
}

/// The host waits for the device: no stream is held any longer.
void finish() {
  const std::lock_guard lock(mutex);
  for (const auto& stream : streams) stream->held = false;
  go_on();
}

void push(EmulatedStream* stream, Work work) {
  const std::lock_guard lock(mutex);
  stream->works.push_back(std::move(work));
  go_on();
}

bool captures(EmulatedStream* stream) {
  return captured != nullptr && stream == captured_stream;
}

/// Does the work now, once its stream reaches it, or with the graph.
template <class Body>
cudaError_t queue(EmulatedStream* stream, const Body& body) {
  if (captures(stream)) {
    capture(body);
  } else {
    push(stream, {.body = body});
  }
  return cudaSuccess;
}

}  // namespace

bool capturing() {
  return captured != nullptr;
}
void capture(std::function<void()> work) {
  captured->works.push_back(std::move(work));
}
void hold(cudaStream_t stream, bool on) {
  const std::lock_guard lock(mutex);
  stream->held = on;
  go_on();
}

}  // namespace emulator

using emulator::captured;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(emulator::mutex);
  emulator::streams.push_back(std::make_unique<EmulatedStream>());
  *stream = emulator::streams.back().get();
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (emulator::captures(stream)) return cudaErrorStreamCaptureUnsupported;
  emulator::finish();
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  if (emulator::captures(stream)) return cudaErrorStreamCaptureUnsupported;
  emulator::push(stream, {.awaited = event, .until = event->recorded, .body = {}});
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  *status =
      emulator::captures(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (emulator::capturing()) return cudaErrorStreamCaptureUnsupported;
  captured = new EmulatedGraph;
  emulator::captured_stream = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  *graph = std::exchange(captured, nullptr);
  return *graph == nullptr ? cudaErrorInvalidValue : cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  *executable = new EmulatedGraph(*graph);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  if (emulator::capturing()) return cudaErrorStreamCaptureUnsupported;
  for (const std::function<void()>& work : executable->works) work();
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, 0);
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new EmulatedEvent;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event->reached < event->recorded) emulator::finish();
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (emulator::captures(stream)) return cudaErrorStreamCaptureUnsupported;
  const unsigned number = ++event->recorded;
  emulator::push(stream, {.body = [event, number] { event->reached = number; }});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->reached < event->recorded) emulator::finish();
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  return event->reached < event->recorded ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;  // any time will do
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  return emulator::queue(stream, [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  });
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  return emulator::queue(stream, [=] {
    if (bytes > 0) std::memset(to, value, bytes);
  });
}
