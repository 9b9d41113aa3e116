#include "data/load/ordered_workers.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/stop.h"

namespace invp {

OrderedWorkers::OrderedWorkers(int threads, int ahead, Work work)
    : work_(std::move(work)), slots_(threads == 0 ? 1 : static_cast<std::size_t>(ahead) + 1) {
  try {
    for (int i = 0; i < std::max(threads, 1); ++i)
      threads_.emplace_back([this, i] { run(static_cast<std::size_t>(i)); });
  } catch (const std::system_error& error) {
    end_threads();
    fail("[loader] cannot start ", threads, " worker threads (", error.what(), "); ask for fewer");
  }
}

OrderedWorkers::~OrderedWorkers() {
  end_threads();
}

void OrderedWorkers::end_threads() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_there_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void OrderedWorkers::stop() {
  std::unique_lock lock(mutex_);
  taking_ = begun_;  // nothing to take
  taking_part_ = 0;
  next_ = end_;
  wait_or_stop(progress_, lock, [&] { return busy_ == 0; });
}

void OrderedWorkers::start(std::int64_t first, std::int64_t end) {
  stop();
  next_ = begun_ = taking_ = first;  // no worker looks at them before begin_items()
  end_ = end;
  if (slots_.size() > 1) begin_items();
}

/// Gives every slot that is free its next item.
void OrderedWorkers::begin_items() {
  const std::int64_t last = std::min(end_, next_ + std::ssize(slots_));
  for (std::int64_t position = begun_; position < last; ++position) {
    const std::int64_t parts = work_.begin(position, slot_of(position));
    {
      const std::lock_guard lock(mutex_);
      slots_[slot_of(position)] = {.parts = parts, .parts_left = parts};
      begun_ = position + 1;
    }
    work_there_.notify_all();
  }
}

void OrderedWorkers::run(std::size_t worker) {
  std::unique_lock lock(mutex_);
  for (;;) {
    work_there_.wait(lock, [&] { return ending_ || taking_ < begun_; });
    if (ending_) return;
    const std::size_t index = slot_of(taking_);
    Slot& slot = slots_[index];
    const std::int64_t part = taking_part_++;
    if (taking_part_ == slot.parts) {
      ++taking_;
      taking_part_ = 0;
    }
    ++busy_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      work_.make(index, part, worker);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --busy_;
    --slot.parts_left;
    if (failure && (!slot.failure || part < slot.failed_part)) {
      slot.failure = failure;
      slot.failed_part = part;
    }
    if (slot.parts_left == 0 || busy_ == 0) progress_.notify_one();
  }
}

std::optional<OrderedWorkers::Item> OrderedWorkers::next() {
  check_stop();
  if (next_ == end_) return std::nullopt;
  const std::int64_t position = next_;
  try {
    begin_items();  // the consumer is done with the slot of the item before
    std::unique_lock lock(mutex_);
    const Slot& slot = slots_[slot_of(position)];
    wait_or_stop(progress_, lock, [&] { return slot.parts_left == 0; });
    if (slot.failure) std::rethrow_exception(slot.failure);
  } catch (const Stopped&) {
    throw;  // without a wait for workers: one of them may never return from its read
  } catch (...) {
    stop();
    throw;
  }
  ++next_;
  return Item{position, slot_of(position)};
}

}  // namespace invp
