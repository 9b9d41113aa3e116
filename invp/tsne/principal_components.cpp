#include "invp/tsne/principal_components.h"

#include <Spectra/SymEigsSolver.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <functional>
#include <optional>

#include "engine/core/parallel.h"
#include "invp/tsne/matrix.h"

namespace invp {

namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::RowVectorXd;

RowVectorXd mean_of(const Eigen::Map<RowMajor>& rows) {
  RowVectorXd sum = RowVectorXd::Zero(rows.cols());
  for (Index i = 0; i < rows.rows(); ++i) sum += rows.row(i).cast<double>();
  return sum / static_cast<double>(rows.rows());
}

/// Rows that are turned into double together. Every sum over rows is split the same way, so its
/// bits do not depend on the number of threads.
constexpr Index kBlock = 256;

/// The data with the mean taken off each column, block by block: a whole copy in double would take
/// twice the memory of the data.
class Centred {
 public:
  explicit Centred(const Tensor& data) : data_(matrix_of(data)), mean_(mean_of(data_)) {}
  Index rows() const { return data_.rows(); }
  Index cols() const { return data_.cols(); }

  MatrixXd middle_rows(Index first, Index count) const {
    return data_.middleRows(first, count).cast<double>().rowwise() - mean_;
  }
  MatrixXd middle_cols(Index first, Index count) const {
    return data_.middleCols(first, count).cast<double>().rowwise() - mean_.segment(first, count);
  }

 private:
  Eigen::Map<RowMajor> data_;
  RowVectorXd mean_;
};

/// Calls body(first, count) for each block of [0, size), several at a time.
void for_each_block(Index size, Index block, const std::function<void(Index, Index)>& body) {
  parallel_for(0, (size + block - 1) / block, 1, [&](Index begin, Index end) {
    for (Index b = begin; b < end; ++b) body(b * block, std::min(block, size - b * block));
  });
}

/// A^T A of the tall matrix A (height, width), given in blocks of rows.
MatrixXd inner_products(Index height, Index width,
                        const std::function<MatrixXd(Index first, Index count)>& rows) {
  constexpr Index kTile = 64;
  MatrixXd products = MatrixXd::Zero(width, width);
  for (Index first = 0; first < height; first += kBlock) {
    const MatrixXd a = rows(first, std::min(kBlock, height - first));
    for_each_block(width, kTile, [&](Index column, Index count) {
      products.middleCols(column, count).noalias() += a.transpose() * a.middleCols(column, count);
    });
  }
  return products;
}

struct Axes {
  Eigen::VectorXd values;  ///< eigenvalues, largest first
  MatrixXd vectors;        ///< the eigenvector of values[c] is column c
};

/// Whether these are eigenvectors of unit length at right angles. Lanczos' method calls itself
/// successful on matrices of low rank too, where what it returns depends on rounding.
bool are_axes_of(const MatrixXd& matrix, const Axes& axes) {
  constexpr double kTolerance = 1e-7;
  const MatrixXd& v = axes.vectors;
  const double residual = (matrix * v - v * axes.values.asDiagonal()).norm();
  const double skew = (v.transpose() * v - MatrixXd::Identity(v.cols(), v.cols())).norm();
  return residual <= kTolerance * matrix.trace() && skew <= kTolerance;
}

/// Lanczos' method: much sooner than a full decomposition where a few axes of a large matrix are
/// wanted. Nothing if it fails, which it may where the rank is lower than `count`.
std::optional<Axes> lanczos_axes(const MatrixXd& matrix, Index count, Index subspace) {
  constexpr Index kMostRestarts = 1000;
  constexpr double kTolerance = 1e-10;
  Spectra::DenseSymMatProd<double> product(matrix);
  Spectra::SymEigsSolver<Spectra::DenseSymMatProd<double>> solver(product, count, subspace);
  try {
    solver.init();
    solver.compute(Spectra::SortRule::LargestAlge, kMostRestarts, kTolerance);
  } catch (const std::exception&) {
    return std::nullopt;
  }
  if (solver.info() != Spectra::CompInfo::Successful) return std::nullopt;
  Axes axes{solver.eigenvalues(), solver.eigenvectors()};
  if (!are_axes_of(matrix, axes)) return std::nullopt;
  return axes;
}

/// The `count` largest eigenvalues of a symmetric matrix.
Axes largest_axes(const MatrixXd& matrix, Index count) {
  // The full decomposition of 512 x 512 takes 0.05 s of CPU, that of 2,048 x 2,048 takes 7 s.
  constexpr Index kSmall = 512;
  const Index subspace = 2 * count + 20;
  if (matrix.rows() > kSmall && 4 * subspace < matrix.rows()) {
    if (auto axes = lanczos_axes(matrix, count, subspace)) return *std::move(axes);
  }
  const Eigen::SelfAdjointEigenSolver<MatrixXd> solver(matrix);
  return {solver.eigenvalues().tail(count).reverse(),
          solver.eigenvectors().rightCols(count).rowwise().reverse()};
}

/// Turns the axes so that the element of each that is largest in absolute value is positive.
/// Returns the signs.
RowVectorXd signs_of(const MatrixXd& axes) {
  RowVectorXd signs(axes.cols());
  for (Index c = 0; c < axes.cols(); ++c) {
    Index largest = 0;
    axes.col(c).cwiseAbs().maxCoeff(&largest);
    signs[c] = axes(largest, c) < 0 ? -1 : 1;
  }
  return signs;
}

}  // namespace

Tensor principal_components(const Tensor& data, std::int64_t count) {
  CHECK(data.dim(0) >= 1 && data.dim(1) >= 1 && count >= 1, "[pca] needs rows and columns, got ",
        data.shape(), " and ", count, " components");
  const Centred rows(data);
  const Index n = rows.rows();
  const Index d = rows.cols();
  const Index kept = std::min(count, d);
  const Tensor result = Tensor::zeros({n, kept});
  auto out = matrix_of(result);
  if (n < d) {
    // With X the rows and u an eigenvector of X X^T (n, n), X^T u lies along an axis, and the rows'
    // coordinates on that axis are u times the square root of the eigenvalue.
    const auto columns = [&](Index first, Index size) -> MatrixXd {
      return rows.middle_cols(first, size).transpose();
    };
    const Axes axes = largest_axes(inner_products(d, n, columns), std::min(kept, n));
    MatrixXd directions(d, axes.vectors.cols());
    for_each_block(d, kBlock, [&](Index first, Index size) {
      directions.middleRows(first, size).noalias() = columns(first, size) * axes.vectors;
    });
    const RowVectorXd scales =
        axes.values.cwiseMax(0).cwiseSqrt().transpose().cwiseProduct(signs_of(directions));
    out.leftCols(scales.size()) = (axes.vectors * scales.asDiagonal()).cast<float>();
    return result;
  }
  const auto block = [&](Index first, Index size) { return rows.middle_rows(first, size); };
  MatrixXd directions = largest_axes(inner_products(n, d, block), kept).vectors;
  directions *= signs_of(directions).asDiagonal();
  for_each_block(n, kBlock, [&](Index first, Index size) {
    out.middleRows(first, size) = (block(first, size) * directions).cast<float>();
  });
  return result;
}

Tensor prepare_features(const Tensor& features, std::int64_t pca) {
  const bool reduce = pca > 0 && pca < features.dim(1);
  const Tensor data = reduce ? principal_components(features, pca) : features.clone();
  auto rows = matrix_of(data);
  rows.rowwise() -= mean_of(rows).cast<float>().eval();
  const float largest = rows.cwiseAbs().maxCoeff();
  if (largest > 0) rows /= largest;
  return data;
}

}  // namespace invp
