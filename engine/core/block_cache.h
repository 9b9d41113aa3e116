// A caching allocator: best fit over segments from the system. Blocks are split when they are
// allocated and merged with free neighbors when they are freed. It knows nothing of devices: the
// source provides the segments.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <unordered_map>

namespace invp {

class BlockCache {
 public:
  /// `take` returns nullptr when the system has no more; `give_back` takes what `take` returned.
  struct Source {
    std::function<std::byte*(std::size_t bytes)> take;
    std::function<void(std::byte* segment, std::size_t bytes)> give_back;
    std::size_t alignment = 64;  ///< of every block, in bytes: a power of two
  };

  explicit BlockCache(Source source) : source_(std::move(source)) {}

  /// nullptr when neither the cache nor the system has enough.
  std::byte* allocate(std::size_t bytes);
  void free(std::byte* pointer);
  /// Returns every wholly free segment to the system.
  void trim();
  std::size_t reserved() const { return reserved_; }

 private:
  struct Block {
    std::byte* begin;
    std::size_t size;
    bool small;  ///< which pool it belongs to
    bool free = false;
    Block* before = nullptr;  ///< neighbors in the segment
    Block* after = nullptr;
  };
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->begin < b->begin;
    }
  };
  using FreeList = std::set<Block*, BySize>;

  FreeList& pool(bool small) { return small ? small_ : large_; }
  Block* take_segment(std::size_t bytes, bool small);
  void split(Block* block, std::size_t bytes);
  Block* merge(Block* first, Block* second);

  Source source_;
  FreeList small_;
  FreeList large_;
  std::unordered_map<std::byte*, std::unique_ptr<Block>> blocks_;
  std::size_t reserved_ = 0;
};

}  // namespace invp
