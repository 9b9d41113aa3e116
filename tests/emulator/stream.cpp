// The streams of the emulated GPU. Work is done as soon as it is queued and the events that its
// stream waits for are reached, unless the stream has work before it that waits for other
// processes (queue_until, nccl.cpp): then a thread does it later, as a GPU does. While a graph is
// captured, its stream's work goes to the graph instead; calls that CUDA forbids meanwhile fail,
// and so do events, which would be reached in the graph alone.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "emulator.h"

struct EmulatedGraph {
  std::vector<std::function<bool()>> works;  ///< each is called until it says that it is done
};

struct EmulatedEvent {
  unsigned recorded = 0;  ///< how often; an event that never was counts as reached
  unsigned reached = 0;   ///< how many of these times
};

struct EmulatedStream {
  struct Work {
    EmulatedEvent* awaited = nullptr;
    unsigned until = 0;
    std::function<bool()> body;  ///< called until it says that it is done
  };
  std::deque<Work> works;
  bool held = false;
};

namespace emulator {

namespace {

using Work = EmulatedStream::Work;
using Clock = std::chrono::steady_clock;

EmulatedGraph* captured = nullptr;
EmulatedStream* captured_stream = nullptr;
std::mutex mutex;  // guards what follows
// Never destroyed: the thread may outlive main().
auto& streams = *new std::vector<std::unique_ptr<EmulatedStream>>;
bool has_thread = false;

/// Does the work of all streams that need not wait. True if none is left but on held streams.
bool go_on() {
  bool idle = false;
  for (bool moved = true; moved;) {
    moved = false;
    idle = true;
    for (const auto& stream : streams) {
      while (!stream->held && !stream->works.empty()) {
        const Work& next = stream->works.front();
        if (next.awaited != nullptr && next.awaited->reached < next.until) break;
        if (next.body && !next.body()) break;
        stream->works.pop_front();
        moved = true;
      }
      if (!stream->held && !stream->works.empty()) idle = false;
    }
  }
  return idle;
}

/// Seconds that the host waits for the device. A real one is waited for without end: a test that
/// gets here has found a wait without a deadline.
double patience() {
  const char* const seconds = std::getenv("INVP_EMULATOR_PATIENCE");
  return seconds == nullptr ? 120 : std::atof(seconds);
}

/// The host waits for the device: no stream is held any longer.
void finish() {
  const auto start = Clock::now();
  std::unique_lock lock(mutex);
  for (const auto& stream : streams) stream->held = false;
  while (!go_on()) {
    lock.unlock();
    if (std::chrono::duration<double>(Clock::now() - start).count() > patience()) {
      std::fprintf(stderr, "emulated GPU: the host waits for a stream that never ends\n");
      std::abort();
    }
    std::this_thread::sleep_for(std::chrono::microseconds(50));
    lock.lock();
  }
}

void push(EmulatedStream* stream, Work work) {
  const std::lock_guard lock(mutex);
  stream->works.push_back(std::move(work));
  go_on();
}

bool captures(EmulatedStream* stream) {
  return captured != nullptr && (stream == captured_stream || stream == nullptr);
}

/// Goes on with work that waits for other processes while the host does something else.
void start_thread() {
  const std::lock_guard lock(mutex);
  if (std::exchange(has_thread, true)) return;
  std::thread([] {
    while (true) {
      std::this_thread::sleep_for(std::chrono::microseconds(200));
      const std::lock_guard turn(mutex);
      go_on();
    }
  }).detach();
}

}  // namespace

bool capturing() {
  return captured != nullptr;
}
void settle() {
  const std::lock_guard lock(mutex);
  go_on();
}
void hold(cudaStream_t stream, bool on) {
  const std::lock_guard lock(mutex);
  stream->held = on;
  go_on();
}

bool must_queue(cudaStream_t stream) {
  if (captures(stream)) return true;
  const std::lock_guard lock(mutex);
  return stream != nullptr && !stream->works.empty();
}
void queue(cudaStream_t stream, std::function<void()> work) {
  const auto once = [work = std::move(work)] {
    work();
    return true;
  };
  if (captures(stream)) {
    captured->works.emplace_back(once);
  } else {
    push(stream, {.body = once});
  }
}
void queue_until(cudaStream_t stream, std::function<bool()> done) {
  start_thread();
  if (captures(stream)) {
    captured->works.push_back(std::move(done));
  } else {
    push(stream, {.body = std::move(done)});
  }
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
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  if (emulator::captures(stream)) return cudaErrorStreamCaptureUnsupported;
  const std::lock_guard lock(emulator::mutex);
  for (const auto& each : emulator::streams) each->held = false;  // the host waits
  emulator::go_on();
  return stream->works.empty() ? cudaSuccess : cudaErrorNotReady;
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
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (emulator::capturing()) return cudaErrorStreamCaptureUnsupported;
  for (const std::function<bool()>& work : executable->works)
    emulator::push(stream, {.body = work});
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
  if (cudaEventQuery(event) != cudaSuccess) emulator::finish();
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (emulator::captures(stream)) return cudaErrorStreamCaptureUnsupported;
  const unsigned number = ++event->recorded;
  emulator::push(stream, {.body = [event, number] {
                   event->reached = number;
                   return true;
                 }});
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (cudaEventQuery(event) != cudaSuccess) emulator::finish();
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(emulator::mutex);
  emulator::go_on();
  return event->reached < event->recorded ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t, cudaEvent_t) {
  *milliseconds = 1;  // any time will do
  return cudaSuccess;
}

// Of memory that cudaMalloc gave, other than CUDA's; and never part of a graph.
cudaError_t cudaFreeAsync(void* pointer, cudaStream_t stream) {
  emulator::push(stream, {.body = [pointer] { return cudaFree(pointer) == cudaSuccess; }});
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind,
                            cudaStream_t stream) {
  emulator::queue(stream, [=] {
    if (bytes > 0) std::memcpy(to, from, bytes);
  });
  return cudaSuccess;
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, std::size_t bytes,
                                cudaStream_t stream) {
  return cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream);
}
cudaError_t cudaMemsetAsync(void* to, int value, std::size_t bytes, cudaStream_t stream) {
  emulator::queue(stream, [=] {
    if (bytes > 0) std::memset(to, value, bytes);
  });
  return cudaSuccess;
}
