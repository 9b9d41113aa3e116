// How the points of a t-SNE map push each other apart: with q_ij = 1 / (1 + |y_i - y_j|^2),
//   R_i = sum over j of q_ij^2 (y_i - y_j)   and   Z = sum over all pairs i != j of q_ij.
// There are three ways to sum. The number of threads changes the result of none.
#pragma once

#include <memory>

#include "invp/tsne/points.h"

namespace invp {

class Repulsion {
 public:
  virtual ~Repulsion() = default;
  /// Overwrites `forces` (as many as points) with R and returns Z. May keep data that speeds
  /// up the next call.
  virtual double sum(const Points& points, Points& forces) = 0;
};

/// All n^2 pairs, in f32 registers: exact but for rounding, and the fastest up to 5,000
/// points or so.
std::unique_ptr<Repulsion> all_pairs_repulsion();

/// Barnes-Hut: a cell of the quad-tree stands for all its points where its larger half extent is
/// less than theta times its distance. theta >= 0.
std::unique_ptr<Repulsion> barnes_hut_repulsion(double theta);

/// A convolution on a grid by FFT: points are spread over 6 x 6 nodes by quintic B-splines and read
/// their forces there. Linear in n; errors about 1e-3 of the largest force.
std::unique_ptr<Repulsion> grid_repulsion();

/// Z over all pairs, without the forces.
double all_pairs_normaliser(const Points& points);

}  // namespace invp
