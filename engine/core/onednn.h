// oneDNN, the CPU library that convolutions and matrix products use: one engine, and a cache of
// primitives by everything that decides them, because to create one costs as much as to run it.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace invp::cpu::onednn {

dnnl::engine& engine();
/// In order, one per thread: execution is finished when a call returns.
dnnl::stream& stream();

dnnl::memory::data_type type_of(DType dtype);
/// A tensor's memory with the dims and strides of `desc`, which may permute the tensor's own order.
dnnl::memory memory(const Tensor& tensor, const dnnl::memory::desc& desc);

/// A primitive and the layouts it chose.
struct Primitive {
  dnnl::primitive run;
  dnnl::memory::desc weights;  ///< the layout that it chose, where it could choose
  dnnl::primitive reorder;     ///< between that and the plain layout; empty where they are the same
  dnnl::memory::desc scratchpad;
  std::string implementation;  ///< what oneDNN calls the kernel
};

/// Everything that decides a primitive, in a fixed order.
using Key = std::vector<std::int64_t>;

/// The cached primitive for a key, made by `make` on first use. The least recently used ones are
/// dropped when there are too many; a primitive lives as long as a pointer to it.
template <class Make>
std::shared_ptr<const Primitive> cached(const Key& key, const Make& make);

/// Scratch memory from the engine's own allocator, so that it is counted; undefined when none is
/// needed.
Tensor scratch(const dnnl::memory::desc& desc);
/// The reorder between two layouts of the same values; empty when they are equal.
dnnl::primitive make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

class PrimitiveCache {
 public:
  explicit PrimitiveCache(std::size_t capacity) : capacity_(capacity) {}
  /// Null when there is none.
  std::shared_ptr<const Primitive> find(const Key& key);
  std::shared_ptr<const Primitive> insert(const Key& key, Primitive primitive);
  std::size_t size() const { return order_.size(); }

 private:
  struct KeyHash {
    std::size_t operator()(const Key& key) const;
  };
  using Entry = std::pair<Key, std::shared_ptr<const Primitive>>;
  std::size_t capacity_;
  std::list<Entry> order_;  ///< most recently used first
  std::unordered_map<Key, std::list<Entry>::iterator, KeyHash> index_;
};

PrimitiveCache& primitive_cache();  ///< this thread's

template <class Make>
std::shared_ptr<const Primitive> cached(const Key& key, const Make& make) {
  if (auto found = primitive_cache().find(key)) return found;
  return primitive_cache().insert(key, make());
}

/// Runs body and turns oneDNN's exceptions into ours, naming the operation and its shapes.
template <class Body, class... Context>
void guarded(const Body& body, const Context&... context) {
  try {
    body();
  } catch (const dnnl::error& error) {
    fail(context..., ": oneDNN says '", error.what(), "' (status ", static_cast<int>(error.status),
         "); bf16 needs a CPU with AVX-512");
  }
}

}  // namespace invp::cpu::onednn
