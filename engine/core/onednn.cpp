#include "engine/core/onednn.h"

#include "engine/core/hash.h"

namespace invp::cpu::onednn {

dnnl::engine& engine() {
  static dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::stream& stream() {
  thread_local dnnl::stream instance(engine());
  return instance;
}

dnnl::memory::data_type type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return dnnl::memory::data_type::f32;
    case DType::kBF16: return dnnl::memory::data_type::bf16;
    default: fail("[onednn] no arithmetic on ", dtype);
  }
}

dnnl::memory memory(const Tensor& tensor, const dnnl::memory::desc& desc) {
  return dnnl::memory(desc, engine(), tensor.raw());
}

Tensor scratch(const dnnl::memory::desc& desc) {
  const auto bytes = static_cast<std::int64_t>(desc.get_size());
  if (bytes == 0) return {};
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty({bytes}, DType::kU8);
}

dnnl::primitive make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  if (from == to) return {};
  return dnnl::reorder(dnnl::reorder::primitive_desc(engine(), from, engine(), to));
}

std::size_t PrimitiveCache::KeyHash::operator()(const Key& key) const {
  Hash hash;
  for (const std::int64_t word : key) hash.add(static_cast<std::uint64_t>(word));
  return hash.value() ^ (hash.value() >> 32);
}

std::shared_ptr<const Primitive> PrimitiveCache::find(const Key& key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return order_.front().second;
}

std::shared_ptr<const Primitive> PrimitiveCache::insert(const Key& key, Primitive primitive) {
  order_.emplace_front(key, std::make_shared<const Primitive>(std::move(primitive)));
  index_[key] = order_.begin();
  if (order_.size() > capacity_) {
    index_.erase(order_.back().first);
    order_.pop_back();
  }
  return order_.front().second;
}

PrimitiveCache& primitive_cache() {
  constexpr std::size_t kCapacity = 1024;  // a ResNet-50 step needs about 200
  thread_local PrimitiveCache cache(kCapacity);
  return cache;
}

}  // namespace invp::cpu::onednn
