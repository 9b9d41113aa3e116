// The one tensor type: dense, row-major, contiguous. A view is a reshape or a slice of the first
// dimension. Images are NHWC and convolution weights OHWI everywhere; other layouts exist only at
// the borders (layout.h).
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/shape.h"

namespace invp {

class Tensor;
struct Node;  // autograd/node.h

/// A handle: copies share the elements, the gradient and the place in the graph.
class Tensor {
 public:
  Tensor() = default;  ///< undefined: no elements, no shape

  static Tensor empty(const Shape& shape, DType dtype = DType::kF32, Device device = kCpu);
  static Tensor zeros(const Shape& shape, DType dtype = DType::kF32, Device device = kCpu);
  static Tensor full(const Shape& shape, float value, Device device = kCpu);
  /// Copies host values into a new tensor on `device`. Throws if the count is not the shape's.
  template <class T>
  static Tensor from(std::span<const T> values, const Shape& shape, Device device = kCpu);
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = kCpu) {
    return from(std::span<const T>(values), shape, device);
  }
  static Tensor empty_like(const Tensor& other) {
    return empty(other.shape(), other.dtype(), other.device());
  }

  bool defined() const { return impl_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Shape& shape() const { return impl().shape; }
  std::int64_t dim(int i) const { return shape()[i]; }
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return impl().numel; }
  DType dtype() const { return impl().dtype; }
  Device device() const { return impl().device; }
  std::size_t nbytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }

  /// The first element. Throws if T is not the dtype.
  template <class T>
  T* data() const {
    CHECK(dtype() == DTypeOf<T>::value, "[tensor] holds ", dtype(), ", read as ",
          DTypeOf<T>::value);
    return static_cast<T*>(raw());
  }
  void* raw() const { return impl().storage.get() + impl().offset; }
  /// Host elements as a span. Throws for tensors on other devices.
  template <class T>
  std::span<T> span() const {
    CHECK(device() == kCpu, "[tensor] elements on ", device(), " cannot be read from the host");
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  /// The value of a one-element f32 tensor, wherever it lives (waits for the device).
  float item() const;

  // Views share the elements. Autograd records none of them; ops/basic/reshape.h is recorded.
  Tensor view(const Shape& shape) const;
  Tensor slice(std::int64_t begin, std::int64_t end) const;  ///< rows [begin, end)
  /// The same elements outside the graph: no node, no gradient.
  Tensor detach() const;

  // Copies, outside the graph.
  Tensor clone() const;
  Tensor to(Device device) const;              ///< the same tensor if it is there already
  void copy_from(const Tensor& source) const;  ///< same shape and dtype, any device
  void zero() const;
  /// Moves the elements, and the gradient, to another device for every handle of this tensor, which
  /// must be a leaf. Throws if views share the elements: those would not move.
  void move_to(Device device) const;

  // Autograd (autograd/node.h).
  bool requires_grad() const { return impl().requires_grad; }
  Tensor& set_requires_grad(bool on);
  /// The gradient accumulated by backward(); undefined before.
  const Tensor& grad() const;
  void set_grad(const Tensor& grad) const;
  const std::shared_ptr<Node>& node() const { return impl().node; }
  void set_node(std::shared_ptr<Node> node) const;

  /// The values of an f32 parameter rounded to bf16, kept so that products need not round them
  /// again; undefined if there are none. The optimiser updates them with the parameter
  /// (ops/step/sgd_step.h); copy_from, zero and move_to clear them. Code that writes the elements
  /// directly must clear this.
  const Tensor& rounded() const;
  void set_rounded(const Tensor& values) const;
  bool same_as(const Tensor& other) const { return impl_ == other.impl_; }
  /// True if nothing else shares the elements, so that in-place writes are safe.
  bool unique() const { return impl_.use_count() == 1 && impl().storage.use_count() == 1; }

 private:
  struct Impl {
    std::shared_ptr<std::byte> storage;
    std::size_t offset = 0;  ///< bytes
    Shape shape;
    std::int64_t numel = 0;
    DType dtype = DType::kF32;
    Device device;
    bool requires_grad = false;
    std::shared_ptr<Tensor> grad;  ///< a pointer, because a tensor cannot hold a tensor
    std::shared_ptr<Tensor> rounded;
    std::shared_ptr<Node> node;
  };

  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  Impl& impl() const {
    CHECK(impl_ != nullptr, "[tensor] used before it was given elements");
    return *impl_;
  }

  std::shared_ptr<Impl> impl_;
};

template <class T>
Tensor Tensor::from(std::span<const T> values, const Shape& shape, Device device) {
  CHECK(static_cast<std::int64_t>(values.size()) == shape.numel(), "[tensor] ", values.size(),
        " values for shape ", shape);
  Tensor host = empty(shape, DTypeOf<T>::value);
  if (!values.empty()) std::memcpy(host.raw(), values.data(), values.size_bytes());
  return host.to(device);
}

}  // namespace invp
