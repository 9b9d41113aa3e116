#include "engine/core/block_cache.h"

#include <algorithm>

namespace invp {

namespace {

constexpr std::size_t kSmallLimit = 1 << 20;  // requests up to here share small segments
constexpr std::size_t kSmallSegment = 2 << 20;
constexpr std::size_t kLargeSegment = 32 << 20;  // a whole number of 2 MiB huge pages
constexpr std::size_t kSegmentGrain = 2 << 20;

std::size_t round_up(std::size_t value, std::size_t grain) {
  return (value + grain - 1) / grain * grain;
}

}  // namespace

std::byte* BlockCache::allocate(std::size_t bytes) {
  const std::size_t wanted = std::max(round_up(bytes, source_.alignment), source_.alignment);
  const bool small = wanted <= kSmallLimit;
  Block key{.begin = nullptr, .size = wanted, .small = small};
  FreeList& list = pool(small);
  const auto fit = list.lower_bound(&key);
  Block* block = nullptr;
  if (fit != list.end()) {
    block = *fit;
    list.erase(fit);
    block->free = false;
  } else {
    block = take_segment(wanted, small);
    if (block == nullptr) return nullptr;
  }
  split(block, wanted);
  return block->begin;
}

void BlockCache::free(std::byte* pointer) {
  Block* block = blocks_.at(pointer).get();
  if (block->before != nullptr && block->before->free) {
    pool(block->small).erase(block->before);
    block = merge(block->before, block);
  }
  if (block->after != nullptr && block->after->free) {
    pool(block->small).erase(block->after);
    block = merge(block, block->after);
  }
  block->free = true;
  pool(block->small).insert(block);
}

void BlockCache::trim() {
  for (const bool small : {true, false}) {
    FreeList& list = pool(small);
    for (auto it = list.begin(); it != list.end();) {
      Block* block = *it;
      const bool whole_segment = block->before == nullptr && block->after == nullptr;
      if (!whole_segment) {
        ++it;
        continue;
      }
      it = list.erase(it);
      std::byte* const begin = block->begin;
      reserved_ -= block->size;
      source_.give_back(begin, block->size);
      blocks_.erase(begin);
    }
  }
}

BlockCache::Block* BlockCache::take_segment(std::size_t bytes, bool small) {
  const std::size_t minimum = small ? kSmallSegment : kLargeSegment;
  std::size_t size = bytes <= minimum ? minimum : round_up(bytes, kSegmentGrain);
  std::byte* begin = source_.take(size);
  if (begin == nullptr) {  // the cache may hold what the system lacks
    trim();
    size = round_up(bytes, kSegmentGrain);
    begin = source_.take(size);
    if (begin == nullptr) return nullptr;
  }
  reserved_ += size;
  auto block = std::make_unique<Block>(Block{.begin = begin, .size = size, .small = small});
  return (blocks_[begin] = std::move(block)).get();
}

// Keeps `bytes` of the block and frees the rest, unless the rest is too small to use.
void BlockCache::split(Block* block, std::size_t bytes) {
  const std::size_t rest = block->size - bytes;
  if (rest < (block->small ? source_.alignment : kSmallLimit)) return;
  auto tail = std::make_unique<Block>(Block{.begin = block->begin + bytes,
                                            .size = rest,
                                            .small = block->small,
                                            .free = true,
                                            .before = block,
                                            .after = block->after});
  if (tail->after != nullptr) tail->after->before = tail.get();
  block->after = tail.get();
  block->size = bytes;
  pool(block->small).insert(tail.get());
  blocks_[tail->begin] = std::move(tail);
}

BlockCache::Block* BlockCache::merge(Block* first, Block* second) {
  first->size += second->size;
  first->after = second->after;
  if (first->after != nullptr) first->after->before = first;
  std::byte* const gone = second->begin;
  blocks_.erase(gone);
  return first;
}

}  // namespace invp
