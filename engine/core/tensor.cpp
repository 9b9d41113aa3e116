#include "engine/core/tensor.h"

#include <algorithm>

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
  Tensor host = empty(shape);
  std::ranges::fill(host.span<float>(), value);
  return host.to(device);
}

float Tensor::item() const {
  CHECK(numel() == 1, "[tensor] item() wants one element, got shape ", shape());
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
  copy_bytes(raw(), device(), source.raw(), source.device(), nbytes());
}

void Tensor::zero() const {
  zero_bytes(raw(), nbytes(), device());
}

Tensor& Tensor::set_requires_grad(bool on) {
  CHECK(!on || dtype() == DType::kF32, "[tensor] gradients need f32, got ", dtype());
  impl().requires_grad = on;
  return *this;
}

const Tensor& Tensor::grad() const {
  static const Tensor none;
  return impl().grad ? *impl().grad : none;
}

void Tensor::set_grad(const Tensor& grad) const {
  impl().grad = grad.defined() ? std::make_shared<Tensor>(grad) : nullptr;
}

void Tensor::set_node(std::shared_ptr<Node> node) const {
  impl().node = std::move(node);
}

}  // namespace invp
