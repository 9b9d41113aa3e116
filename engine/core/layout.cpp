#include "engine/core/layout.h"

#include "engine/core/parallel.h"

namespace invp {

namespace {

// Each image is a matrix (rows, columns) that becomes (columns, rows).
template <class Element>
void transpose_each(const Element* from, Element* to, std::int64_t images, std::int64_t rows,
                    std::int64_t columns) {
  parallel_for(0, images, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t image = begin; image < end; ++image) {
      const Element* source = from + image * rows * columns;
      Element* target = to + image * rows * columns;
      for (std::int64_t row = 0; row < rows; ++row) {
        for (std::int64_t column = 0; column < columns; ++column)
          target[column * rows + row] = source[row * columns + column];
      }
    }
  });
}

Tensor transposed(const Tensor& x, const Shape& shape, std::int64_t rows, std::int64_t columns) {
  const Tensor source = x.to(kCpu);
  const Tensor result = Tensor::empty(shape, x.dtype());
  const std::int64_t images = shape[0];
  const auto run = [&](auto element) {
    using Element = decltype(element);
    transpose_each(static_cast<const Element*>(source.raw()), static_cast<Element*>(result.raw()),
                   images, rows, columns);
  };
  switch (size_of(x.dtype())) {
    case 1: run(std::uint8_t{}); break;
    case 2: run(std::uint16_t{}); break;
    case 4: run(std::uint32_t{}); break;
    default: run(std::uint64_t{}); break;
  }
  return result;
}

}  // namespace

Tensor channels_last(const Tensor& x) {
  CHECK(x.rank() == 4, "[layout] images and convolution weights have 4 dimensions, got ",
        x.shape());
  return transposed(x, {x.dim(0), x.dim(2), x.dim(3), x.dim(1)}, x.dim(1), x.dim(2) * x.dim(3));
}

Tensor channels_first(const Tensor& x) {
  CHECK(x.rank() == 4, "[layout] images and convolution weights have 4 dimensions, got ",
        x.shape());
  return transposed(x, {x.dim(0), x.dim(3), x.dim(1), x.dim(2)}, x.dim(1) * x.dim(2), x.dim(3));
}

}  // namespace invp
