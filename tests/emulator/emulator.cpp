#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "copies.h"
#include "cuda_runtime.h"
#include "tensor_cores.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define INVP_FIBER_SANITIZER 1
#endif

// Saves the caller's registers on its stack, leaves the stack pointer in *from, and goes on where
// the owner of stack `to` left off. swapcontext does the same with two system calls each time.
extern "C" void invp_switch_stack(void** from, void* to);
asm(R"(
  .text
  .p2align 4
  .globl invp_switch_stack
  .type invp_switch_stack, @function
invp_switch_stack:
  push %rbp
  push %rbx
  push %r12
  push %r13
  push %r14
  push %r15
  mov %rsp, (%rdi)
  mov %rsi, %rsp
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbx
  pop %rbp
  ret
  .size invp_switch_stack, .-invp_switch_stack
)");

thread_local uint3 threadIdx;
thread_local uint3 blockIdx;
thread_local dim3 blockDim;
thread_local dim3 gridDim;

namespace emulator {

namespace {

constexpr unsigned kWarp = 32;
constexpr std::size_t kStack = 128 << 10;

/// A stack on which a thread of a block runs. Threads that never wait share one.
struct Fiber {
  void* top = nullptr;  ///< of the stack, while the fiber does not run
  std::byte* stack = nullptr;
  unsigned thread = 0;
  void* fake_stack = nullptr;

  Fiber() {
    stack = static_cast<std::byte*>(mmap(nullptr, kStack, PROT_READ | PROT_WRITE,
                                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  }
  ~Fiber() { munmap(stack, kStack); }
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;
};

/// Unused fibers, for the next block or launch.
thread_local std::vector<std::unique_ptr<Fiber>> free_fibers;

struct Warp {
  std::array<Word, kWarp> slots{};
  // Lanes, a bit each:
  unsigned present = 0;                   ///< have not exited
  unsigned able = 0;                      ///< have begun and do not wait
  unsigned at_block = 0;                  ///< wait at a barrier of the block
  unsigned arrived = 0;                   ///< wait at a barrier of the warp
  std::array<unsigned, kWarp> awaited{};  ///< by arrived lane: the lanes that it waits for
  unsigned votes = 0;

  unsigned missing(unsigned lanes) const { return lanes & present & ~arrived; }

  void release(unsigned lanes) {
    able |= arrived & lanes;
    arrived &= ~lanes;
  }

  /// Wakes lanes whose partners have arrived or exited; true if it woke any.
  bool release_complete() {
    bool any = false;
    for (unsigned left = arrived; left != 0; left &= left - 1) {
      const auto lane = static_cast<unsigned>(std::countr_zero(left));
      if ((arrived >> lane & 1) == 0 || missing(awaited[lane]) != 0) continue;
      release(awaited[lane]);
      any = true;
    }
    return any;
  }
};

/// The block that is running.
class Block {
 public:
  Block(dim3 threads, const std::function<void()>& body)
      : count_(threads.x * threads.y * threads.z), body_(body), on_(count_), copies_(count_) {
    warps_.resize((count_ + kWarp - 1) / kWarp);
    blockDim = threads;
    const char* order = std::getenv("INVP_EMULATOR_ORDER");
    reverse_ = order != nullptr && std::string_view(order) == "reverse";
  }

  void run(uint3 block, dim3 blocks, std::size_t shared_bytes) {
    blockIdx = block;
    gridDim = blocks;
    shared_.assign(shared_bytes, std::byte{0xCD});
    for (unsigned w = 0; w < warps_.size(); ++w) {
      const unsigned lanes = std::min(kWarp, count_ - w * kWarp);
      Warp& warp = warps_[w];
      warp.present = ~0U >> (kWarp - lanes);
      warp.able = warp.at_block = warp.arrived = 0;
    }
    for (Copies& copies : copies_) copies.open.clear();
    started_ = 0;
    waiting_ = 0;
    done_ = 0;
    while (done_ < count_) step();
  }

  bool reversed() const { return reverse_; }
  unsigned running() const { return running_; }
  std::byte* shared() { return shared_.data(); }
  Warp& warp() { return warps_[running_ / kWarp]; }
  Copies& copies() { return copies_[running_]; }

  void wait_for_block() {
    warp().able &= ~bit();
    warp().at_block |= bit();
    ++waiting_;
    yield();
  }

  void wait_for_warp(unsigned lanes) {
    Warp& mine = warp();
    mine.arrived |= bit();
    if (mine.missing(lanes) == 0) {
      mine.release(lanes);
      return;
    }
    mine.awaited[running_ % kWarp] = lanes;
    mine.able &= ~bit();
    yield();
  }

 private:
  unsigned bit() const { return 1U << (running_ % kWarp); }

  // One turn of every thread that can run. A free fiber starts the threads that have not begun.
  void step() {
    bool moved = false;
    if (started_ < count_) {
      resume(*take_fiber());
      moved = true;
    }
    for (std::size_t i = 0; i < warps_.size(); ++i) {
      moved |= step_warp(reverse_ ? warps_.size() - 1 - i : i);
    }
    for (Warp& warp : warps_) moved |= warp.release_complete();
    if (waiting_ > 0 && waiting_ + done_ == count_) {
      for (Warp& warp : warps_) warp.able |= std::exchange(warp.at_block, 0);
      waiting_ = 0;
      moved = true;
    }
    if (!moved) give_up();
  }

  bool step_warp(std::size_t w) {
    const Warp& warp = warps_[w];
    unsigned turn = ~0U;  // lanes that have not had it
    bool moved = false;
    while (const unsigned left = warp.able & turn) {
      const auto lane =
          static_cast<unsigned>(reverse_ ? std::bit_width(left) - 1 : std::countr_zero(left));
      // A lane that a later lane wakes runs in the next turn.
      turn = reverse_ ? (1U << lane) - 1 : ~1U << lane;
      resume(*on_[w * kWarp + lane]);
      moved = true;
    }
    return moved;
  }

  [[noreturn]] void give_up() const {
    std::fprintf(stderr,
                 "emulated GPU: block (%u, %u, %u) is stuck: of %u threads %u have exited and %u "
                 "wait at __syncthreads; the others wait for lanes of their warp that never come\n",
                 blockIdx.x, blockIdx.y, blockIdx.z, count_, done_, waiting_);
    std::abort();
  }

  void start_threads() {
    while (started_ < count_) {
      const unsigned number = started_++;
      const unsigned t = reverse_ ? count_ - 1 - number : number;
      enter(t);
      fiber_->thread = t;
      on_[t] = fiber_;
      warp().able |= bit();
      body_();
      // Other threads may have run in between: the fiber knows which thread exits here.
      running_ = fiber_->thread;
      warp().able &= ~bit();
      warp().present &= ~bit();
      on_[running_] = nullptr;
      ++done_;
    }
  }

  void enter(unsigned t) {
    running_ = t;
    const dim3 size = blockDim;
    threadIdx = {t % size.x, t / size.x % size.y, t / size.x / size.y};
  }

  Fiber* take_fiber() {
    if (free_fibers.empty()) free_fibers.push_back(std::make_unique<Fiber>());
    Fiber* fiber = free_fibers.back().release();
    free_fibers.pop_back();
#ifdef INVP_FIBER_SANITIZER
    // The thread that used this stack before never returned from its first functions.
    constexpr std::size_t kFirst = 4 << 10;
    __asan_unpoison_memory_region(fiber->stack + kStack - kFirst, kFirst);
#endif
    fiber->fake_stack = nullptr;
    fiber->thread = count_;
    // As invp_switch_stack leaves a stack: six registers, then the return address, then room for
    // alignment.
    auto** const frame = reinterpret_cast<void**>(fiber->stack + kStack) - 8;
    std::fill_n(frame, 8, nullptr);
    frame[6] = reinterpret_cast<void*>(&Block::main_of_fiber);
    fiber->top = frame;
    return fiber;
  }

  static void main_of_fiber();

  void resume(Fiber& fiber) {
    if (fiber.thread < count_) enter(fiber.thread);
    fiber_ = &fiber;
#ifdef INVP_FIBER_SANITIZER
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(&fake_stack, fiber.stack, kStack);
#endif
    invp_switch_stack(&scheduler_, fiber.top);
#ifdef INVP_FIBER_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
    if (ended_) {
      free_fibers.emplace_back(&fiber);
      ended_ = false;
    }
  }

  void yield() {
    Fiber& fiber = *fiber_;
#ifdef INVP_FIBER_SANITIZER
    __sanitizer_start_switch_fiber(&fiber.fake_stack, scheduler_stack_, scheduler_stack_size_);
#endif
    invp_switch_stack(&fiber.top, scheduler_);
#ifdef INVP_FIBER_SANITIZER
    __sanitizer_finish_switch_fiber(fiber.fake_stack, &scheduler_stack_, &scheduler_stack_size_);
#endif
  }

  unsigned count_;
  const std::function<void()>& body_;
  std::vector<Fiber*> on_;  ///< by thread
  std::vector<Warp> warps_;
  std::vector<Copies> copies_;  ///< by thread
  std::vector<std::byte> shared_;
  void* scheduler_ = nullptr;
  Fiber* fiber_ = nullptr;
  unsigned running_ = 0;
  unsigned started_ = 0;
  unsigned waiting_ = 0;
  unsigned done_ = 0;
  bool ended_ = false;
  bool reverse_ = false;
#ifdef INVP_FIBER_SANITIZER
  const void* scheduler_stack_ = nullptr;
  std::size_t scheduler_stack_size_ = 0;
#endif
};

thread_local Block* current = nullptr;

void Block::main_of_fiber() {
  Block& block = *current;
#ifdef INVP_FIBER_SANITIZER
  __sanitizer_finish_switch_fiber(nullptr, &block.scheduler_stack_, &block.scheduler_stack_size_);
#endif
  block.start_threads();
  block.ended_ = true;
#ifdef INVP_FIBER_SANITIZER
  __sanitizer_start_switch_fiber(nullptr, block.scheduler_stack_, block.scheduler_stack_size_);
#endif
  invp_switch_stack(&block.fiber_->top, block.scheduler_);
}

}  // namespace

int lane() {
  return static_cast<int>(current->running() % kWarp);
}
void block_barrier() {
  current->wait_for_block();
}
void warp_barrier(unsigned lanes) {
  current->wait_for_warp(lanes);
}
Word& slot_of(int lane) {
  return current->warp().slots[static_cast<std::size_t>(lane)];
}
std::byte* dynamic_shared() {
  return current->shared();
}

void copy_async(void* to, const void* from, bool wanted) {
  current->copies().start(to, wanted ? from : nullptr);
}
void commit_copies() {
  ++current->copies().groups;
}
void wait_for_copies(std::size_t pending) {
  Copies& copies = current->copies();
  if (copies.groups > pending) copies.finish(copies.groups - pending);
}

unsigned ballot(unsigned lanes, bool predicate) {
  const unsigned bit = 1U << lane();
  Warp& warp = current->warp();
  warp.votes = predicate ? warp.votes | bit : warp.votes & ~bit;
  warp_barrier(lanes);
  const unsigned votes = warp.votes & lanes;
  warp_barrier(lanes);
  return votes;
}

cudaError_t run(dim3 blocks, dim3 threads, std::size_t shared_bytes,
                const std::function<void()>& body) {
  constexpr std::size_t kMostShared = 227 << 10;
  const auto fits = [](dim3 size, unsigned x, unsigned yz) {
    return size.x >= 1 && size.x <= x && size.y >= 1 && size.y <= yz && size.z >= 1 && size.z <= yz;
  };
  if (!fits(blocks, 0x7FFFFFFF, 65535) || !fits(threads, 1024, 1024) ||
      threads.x * threads.y * threads.z > 1024 || shared_bytes > kMostShared) {
    return cudaErrorInvalidConfiguration;
  }
  Block block(threads, body);
  Block* const outer = std::exchange(current, &block);
  const std::uint64_t count = std::uint64_t{blocks.x} * blocks.y * blocks.z;
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::uint64_t b = block.reversed() ? count - 1 - i : i;
    block.run({static_cast<unsigned>(b % blocks.x), static_cast<unsigned>(b / blocks.x % blocks.y),
               static_cast<unsigned>(b / blocks.x / blocks.y)},
              blocks, shared_bytes);
  }
  current = outer;
  return cudaSuccess;
}

}  // namespace emulator
