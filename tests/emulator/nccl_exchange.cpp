#include "nccl_exchange.h"

#include <algorithm>
#include <bit>
#include <cstdio>
#include <cstring>
#include <utility>

#include "nccl_faults.h"

namespace emulator {

using Clock = std::chrono::steady_clock;

namespace {

int calls_done = 0;  // of this process; only the stream's work touches it

template <class T>
T combined(T a, T b, ncclRedOp_t op) {
  if (op == ncclSum) return static_cast<T>(a + b);
  return op == ncclMax ? std::max(a, b) : std::min(a, b);
}

/// Rounded after each step, as NCCL does.
struct Bfloat16 {
  std::uint16_t bits = 0;
};
float value_of(Bfloat16 x) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(x.bits) << 16);
}
Bfloat16 combined(Bfloat16 a, Bfloat16 b, ncclRedOp_t op) {
  const auto word = std::bit_cast<std::uint32_t>(combined(value_of(a), value_of(b), op));
  return {static_cast<std::uint16_t>((word + 0x7FFF + ((word >> 16) & 1)) >> 16)};
}

/// NCCL's order is its own business: here one after another, from either end.
template <class T>
void reduce_as(const std::vector<std::vector<std::byte>>& parts, std::byte* to, ncclRedOp_t op) {
  const bool reversed = find_fault(faults(), "order=reverse", 0, 0) != nullptr;
  const std::size_t bytes = parts[0].size();
  for (std::size_t at = 0; at < bytes; at += sizeof(T)) {
    T sum{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      T value;
      std::memcpy(&value, parts[reversed ? parts.size() - 1 - i : i].data() + at, sizeof(T));
      sum = i == 0 ? value : combined(sum, value, op);
    }
    std::memcpy(to + at, &sum, sizeof(T));
  }
}

void reduce(const std::vector<std::vector<std::byte>>& parts, std::byte* to, ncclDataType_t type,
            ncclRedOp_t op) {
  switch (type) {
    case ncclFloat32: return reduce_as<float>(parts, to, op);
    case ncclFloat64: return reduce_as<double>(parts, to, op);
    case ncclBfloat16: return reduce_as<Bfloat16>(parts, to, op);
    case ncclInt32: return reduce_as<std::int32_t>(parts, to, op);
    case ncclInt64: return reduce_as<std::int64_t>(parts, to, op);
    case ncclInt8: return reduce_as<std::int8_t>(parts, to, op);
    case ncclUint8: return reduce_as<std::uint8_t>(parts, to, op);
  }
}

}  // namespace

std::size_t size_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8:
    case ncclUint8: return 1;
    case ncclBfloat16: return 2;
    case ncclInt32:
    case ncclFloat32: return 4;
    default: return 8;
  }
}
const char* name_of(ncclDataType_t type) {
  switch (type) {
    case ncclInt8: return "i8";
    case ncclUint8: return "u8";
    case ncclBfloat16: return "bf16";
    case ncclInt32: return "i32";
    case ncclFloat32: return "f32";
    case ncclInt64: return "i64";
    case ncclFloat64: return "f64";
  }
  return "?";
}
const char* name_of(ncclRedOp_t op) {
  return op == ncclSum ? "sum" : op == ncclMax ? "max" : "min";
}

Exchange::Exchange(std::shared_ptr<State> state, Call call, bool captured)
    : state_(std::move(state)), call_(std::move(call)), captured_(captured) {
  if (captured_) call_.words += ", captured";
  for (const Piece& piece : call_.given) length_ += piece.bytes;
}

bool Exchange::poll() {
  if (state_->aborted) return done();
  if (state_->result != ncclSuccess && state_->result != ncclInProgress) return false;
  if (!began_ && !begin()) return false;
  while (true) {
    if (!published_ && !publish()) return false;
    if (!read()) return false;
    if (static_cast<std::uint64_t>(chunk_) * Segment::kBuffer >= longest_) break;
  }
  if (call_.kind == Kind::kReduce || call_.kind == Kind::kReduceScatter)
    reduce(parts_, call_.taken[0].at, call_.type, call_.op);
  return done();
}

bool Exchange::done() {
  began_ = published_ = false;
  chunk_ = 0;
  longest_ = 0;
  takes_.clear();
  if (!captured_) --state_->queued;
  return true;
}

bool Exchange::begin() {
  const int number = calls_done;
  if (find_fault(faults(), "hang", state_->rank, number) != nullptr) return false;
  if (find_fault(faults(), "remote-error", state_->rank, number) != nullptr) {
    state_->fail(ncclRemoteError, "a remote process exited or there was a network error");
    return false;
  }
  if (const auto* slow = find_fault(faults(), "slow", state_->rank, number)) {
    if (due_ == Clock::time_point{}) due_ = Clock::now() + std::chrono::milliseconds(slow->ms);
    if (Clock::now() < due_) return false;
    due_ = {};
  }
  ++calls_done;
  began_ = true;
  return true;
}

bool Exchange::publish() {
  if (!segment().all(&Slot::consumed, state_->rounds)) return false;
  if (chunk_ == 0) describe();
  const std::uint64_t first = static_cast<std::uint64_t>(chunk_) * Segment::kBuffer;
  std::uint64_t at = 0;
  for (const Piece& piece : call_.given) {
    const std::uint64_t from = std::max(first, at);
    const std::uint64_t to = std::min<std::uint64_t>(first + Segment::kBuffer, at + piece.bytes);
    if (from < to)
      std::memcpy(segment().buffer(state_->rank) + (from - first), piece.at + (from - at),
                  to - from);
    at += piece.bytes;
  }
  own().published = state_->rounds + 1;
  published_ = true;
  return true;
}

void Exchange::describe() const {
  Slot& slot = own();
  std::snprintf(slot.call.words.data(), slot.call.words.size(), "%s", call_.words.c_str());
  slot.length = length_;
  int count = 0;
  if (call_.kind == Kind::kMessages)
    for (const Piece& piece : call_.given)
      slot.sent.at(static_cast<std::size_t>(count++)) = {piece.peer, piece.bytes};
  slot.messages = count;
}

bool Exchange::read() {
  if (!segment().all(&Slot::published, state_->rounds + 1)) return false;
  if (chunk_ == 0 && !understand()) return false;
  const std::uint64_t first = static_cast<std::uint64_t>(chunk_) * Segment::kBuffer;
  for (const Take& take : takes_) {
    const std::uint64_t from = std::max(first, take.from);
    const std::uint64_t to =
        std::min<std::uint64_t>(first + Segment::kBuffer, take.from + take.bytes);
    if (from < to)
      std::memcpy(take.to + (from - take.from), segment().buffer(take.peer) + (from - first),
                  to - from);
  }
  own().consumed = ++state_->rounds;
  published_ = false;
  ++chunk_;
  return true;
}

bool Exchange::understand() {
  longest_ = 0;
  for (int rank = 0; rank < segment().ranks(); ++rank) {
    const Slot& slot = segment().slot(rank);
    longest_ = std::max<std::uint64_t>(longest_, slot.length);
    if (std::strcmp(slot.call.words.data(), own().call.words.data()) == 0) continue;
    return differ(rank, slot.call.words.data());
  }
  takes_.clear();
  parts_.clear();
  for (int rank = 0; rank < segment().ranks(); ++rank)
    if (!take_from(rank)) return false;
  return true;
}

bool Exchange::take_from(int rank) {
  const auto number = static_cast<std::size_t>(rank);
  switch (call_.kind) {
    case Kind::kReduce:
    case Kind::kReduceScatter:
      if (rank == 0)
        parts_.assign(static_cast<std::size_t>(segment().ranks()),
                      std::vector<std::byte>(call_.bytes));
      takes_.push_back(
          {rank,
           call_.kind == Kind::kReduce ? 0 : static_cast<std::uint64_t>(state_->rank) * call_.bytes,
           parts_[number].data(), call_.bytes});
      return true;
    case Kind::kGather:
      takes_.push_back({rank, 0, call_.taken[0].at + number * call_.bytes, call_.bytes});
      return true;
    case Kind::kBroadcast:
      if (rank == call_.root) takes_.push_back({rank, 0, call_.taken[0].at, call_.bytes});
      return true;
    case Kind::kMessages: return take_messages(rank);
  }
  return false;
}

bool Exchange::take_messages(int rank) {
  const Slot& slot = segment().slot(rank);
  std::vector<Take> sent;
  std::uint64_t at = 0;
  for (int i = 0; i < slot.messages; ++i) {
    const Message& message = slot.sent.at(static_cast<std::size_t>(i));
    if (message.peer == state_->rank) sent.push_back({rank, at, nullptr, message.bytes});
    at += message.bytes;
  }
  std::size_t next = 0;
  for (const Piece& piece : call_.taken) {
    if (piece.peer != rank) continue;
    if (next == sent.size() || sent[next].bytes != piece.bytes)
      return differ(rank, "no message of " + std::to_string(piece.bytes) + " bytes to rank " +
                              std::to_string(state_->rank));
    sent[next].to = piece.at;
    takes_.push_back(sent[next++]);
  }
  if (next != sent.size())
    return differ(
        rank, "a message of " + std::to_string(sent[next].bytes) + " bytes that nobody receives");
  return true;
}

bool Exchange::differ(int rank, const std::string& other) {
  state_->fail(ncclInvalidUsage, "rank " + std::to_string(state_->rank) + ": " + call_.words +
                                     "; rank " + std::to_string(rank) + ": " + other);
  return false;
}

}  // namespace emulator
