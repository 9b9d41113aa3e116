#include "engine/core/tensor.h"

#include <algorithm>
#include <bit>

#include "engine/core/parallel.h"

namespace invp {

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device) {
  auto impl = std::make_shared<Impl>();
  impl->shape = shape;
  impl->numel = shape.numel();
  impl->dtype = dtype;
  impl->device = device;
  impl->storage = allocate(static_cast<std::size_t>(impl->numel) * size_of(dtype), device);
  return Tensor(std::move(impl));
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device) {
  Tensor result = empty(shape, dtype, device);
  result.zero();
  return result;
}

Tensor Tensor::full(const Shape& shape, float value, Device device) {
  const Tensor filled = empty(shape, DType::kF32, device);
  fill_words(filled.raw(), std::bit_cast<std::uint32_t>(value), filled.numel(), device);
  return filled;
}

float Tensor::item() const {
  CHECK(numel() == 1, "[tensor] item() needs one element, got shape ", shape());
  return *to(kCpu).data<float>();
}

Tensor Tensor::view(const Shape& shape) const {
  CHECK(shape.numel() == numel(), "[tensor] shape ", this->shape(), " cannot be viewed as ", shape);
  auto view = std::make_shared<Impl>();
  view->storage = impl().storage;
  view->offset = impl().offset;
  view->shape = shape;
  view->numel = numel();
  view->dtype = dtype();
  view->device = device();
  return Tensor(std::move(view));
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= dim(0), "[tensor] rows ", begin, " to ",
        end, " of shape ", shape());
  std::array<std::int64_t, Shape::kMaxRank> dims{};
  std::ranges::copy(shape().dims(), dims.begin());
  dims[0] = end - begin;
  const std::size_t row = dim(0) == 0 ? 0 : nbytes() / static_cast<std::size_t>(dim(0));
  Tensor part = view(shape());
  part.impl().offset += row * static_cast<std::size_t>(begin);
  part.impl().shape = Shape(std::span<const std::int64_t>(dims.data(), shape().dims().size()));
  part.impl().numel = part.impl().shape.numel();
  return part;
}

Tensor Tensor::detach() const {
  return view(shape());
}

Tensor Tensor::clone() const {
  Tensor copy = empty(shape(), dtype(), device());
  copy.copy_from(*this);
  return copy;
}

Tensor Tensor::to(Device target) const {
  if (device() == target) return *this;
  Tensor copy = empty(shape(), dtype(), target);
  copy.copy_from(*this);
  return copy;
}

void Tensor::copy_from(const Tensor& source) const {
  CHECK(shape() == source.shape() && dtype() == source.dtype(), "[tensor] cannot copy ",
        source.dtype(), source.shape(), " into ", dtype(), shape());
  set_rounded({});
  copy_bytes(raw(), device(), source.raw(), source.device(), nbytes());
}

void Tensor::zero() const {
  set_rounded({});
  fill_bytes(raw(), 0, nbytes(), device());
}

void Tensor::move_to(Device target) const {
  if (device() == target) return;
  CHECK(impl().node == nullptr, "[tensor] the result of an operation cannot be moved to ", target);
  CHECK(impl().storage.use_count() == 1, "[tensor] elements that a view shares cannot be moved to ",
        target);
  set_rounded({});
  const Tensor moved = to(target);
  impl().storage = moved.impl().storage;
  impl().offset = 0;
  impl().device = target;
  const MemoryScope scope(MemoryUse::kGradients);
  if (grad().defined()) set_grad(grad().to(target));
}

Tensor& Tensor::set_requires_grad(bool on) {
  CHECK(!on || dtype() == DType::kF32, "[tensor] gradients need f32, got ", dtype());
  impl().requires_grad = on;
  return *this;
}

namespace {

const Tensor& undefined() {
  static const Tensor none;
  return none;
}

}  // namespace

const Tensor& Tensor::grad() const {
  return impl().grad ? *impl().grad : undefined();
}

void Tensor::set_grad(const Tensor& grad) const {
  impl().grad = grad.defined() ? std::make_shared<Tensor>(grad) : nullptr;
}

const Tensor& Tensor::rounded() const {
  return impl().rounded ? *impl().rounded : undefined();
}

void Tensor::set_rounded(const Tensor& values) const {
  CHECK(!values.defined() || (dtype() == DType::kF32 && values.dtype() == DType::kBF16 &&
                              values.shape() == shape() && values.device() == device()),
        "[tensor] rounded values must be bf16 of the tensor's shape and device");
  impl().rounded = values.defined() ? std::make_shared<Tensor>(values) : nullptr;
}

void Tensor::set_node(std::shared_ptr<Node> node) const {
  impl().node = std::move(node);
}

}  // namespace invp
