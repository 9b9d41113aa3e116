#include "engine/ops/groups/batch_norm_groups.h"

#include <algorithm>
#include <utility>

#include "engine/autograd/recompute.h"
#include "engine/core/checks.h"
#include "engine/ops/groups/tree_sum.h"

namespace invp {

namespace {

void check(const MapGroups& x, const Tensor& residual, const BatchNormTensors& norm) {
  constexpr const char* kOp = "batch_norm_groups";
  check_floating(kOp, x.rows);
  CHECK(x.rows.rank() == 2 && x.rows.dim(0) == rows_of(x.sizes), "[", kOp, "] needs ",
        rows_of(x.sizes), " rows of x, got ", x.rows.shape());
  check_per_channel(kOp, x.rows, "gamma", norm.gamma);
  check_per_channel(kOp, x.rows, "beta", norm.beta);
  check_per_channel(kOp, x.rows, "running_mean", norm.running_mean);
  check_per_channel(kOp, x.rows, "running_var", norm.running_var);
  CHECK(!residual.defined() ||
            (residual.shape() == x.rows.shape() && residual.dtype() == x.rows.dtype()),
        "[", kOp, "] the residual must be like x ", x.rows.shape());
  for (const MapSize& size : x.sizes) {
    CHECK(size.rows() != 1 || x.norms.sharing != NormSharing::kLocal, "[", kOp,
          "] training needs more than one value per channel in each group, got 1");
  }
  CHECK(x.norms.ranks != nullptr || x.rows.dim(0) >= 2, "[", kOp,
        "] training needs more than one value per channel, got ", x.rows.dim(0));
}

Tensor workspace(const Shape& shape, Device device) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty(shape, DType::kF64, device);
}

/// The part of a group of f64 numbers (G, ...).
Tensor part_of(const Tensor& parts, std::size_t group, const Shape& shape) {
  const auto g = static_cast<std::int64_t>(group);
  return parts.slice(g, g + 1).view(shape);
}

/// f64 numbers of this process's groups (G, n, C), zeros where a group has no values.
Tensor zeroed_parts(const MapGroups& x, std::int64_t numbers) {
  const Shape shape{static_cast<std::int64_t>(x.groups()), numbers, x.channels()};
  const bool hollow =
      std::ranges::any_of(x.sizes, [](const MapSize& size) { return size.rows() == 0; });
  const MemoryScope scope(MemoryUse::kWorkspace);
  return hollow ? Tensor::zeros(shape, DType::kF64, x.rows.device())
                : Tensor::empty(shape, DType::kF64, x.rows.device());
}

/// The parts (G, n, C) of all who share the statistics, in order.
Tensor of_all_ranks(const GroupNorms& norms, const char* name, const Tensor& parts) {
  if (norms.ranks == nullptr) return parts;
  const std::int64_t ranks = norms.ranks->ranks().size;
  const std::int64_t groups = parts.dim(0), numbers = parts.dim(1), channels = parts.dim(2);
  const Tensor all = workspace({ranks * groups, numbers, channels}, parts.device());
  norms.ranks->all_gather(name, parts, all.view({ranks, groups, numbers, channels}));
  return all;
}

/// How `parts` parts of all who share the statistics are merged.
SharedParts shared_parts(const GroupNorms& norms, std::int64_t parts) {
  // Of one group the running variance is divided by one less, as an ordinary batch norm's.
  const bool one_group = parts == norms.ranks_per_group;
  return {.sharing = one_group ? NormSharing::kSync : norms.sharing,
          .parts = parts,
          .per_group = norms.ranks_per_group};
}

struct Statistics {
  Tensor mean;         ///< (1, C), or of each group (G, C)
  Tensor inverse_std;  ///< likewise
  Tensor gamma, beta;
  Tensor divisors;  ///< of this process's groups: merge_moments

  BatchNormScaling of(std::size_t group) const {
    const std::size_t row = mean.dim(0) == 1 ? 0 : group;
    return {.mean = part_of(mean, row, gamma.shape()),
            .inverse_std = part_of(inverse_std, row, gamma.shape()),
            .gamma = gamma,
            .beta = beta};
  }
};

/// Mean, 1 / sqrt(var + eps) and divisors over all groups, of the moments of those here.
std::vector<Tensor> shared_statistics(const MapGroups& x, const Tensor& parts,
                                      const BatchNormTensors& norm, const BatchNormParams& params) {
  const Device device = parts.device();
  const Tensor all = of_all_ranks(x.norms, "batch norms, forward", parts);
  const Tensor merged = workspace({3, parts.dim(2)}, device);
  const Tensor divisors = Tensor::empty({all.dim(0)}, DType::kF64, device);
  DISPATCH(device, merge_moments, shared_parts(x.norms, all.dim(0)), all, merged, divisors);
  const Tensor mean = Tensor::empty({1, parts.dim(2)}, DType::kF32, device);
  const Tensor inverse_std = Tensor::empty_like(mean);
  DISPATCH(device, batch_norm_finish, merged, params, mean, inverse_std, norm.running_mean,
           norm.running_var);
  const std::int64_t first =
      x.norms.ranks == nullptr ? 0 : x.norms.ranks->ranks().rank * parts.dim(0);
  return {mean, inverse_std, divisors.slice(first, first + parts.dim(0))};
}

/// The same of each group by itself.
std::vector<Tensor> local_statistics(const MapGroups& x, const Tensor& parts,
                                     const BatchNormTensors& norm, const BatchNormParams& params) {
  const Device device = parts.device();
  const std::int64_t groups = parts.dim(0), channels = parts.dim(2);
  const Tensor mean = Tensor::zeros({groups, channels}, DType::kF32, device);
  const Tensor inverse_std = Tensor::zeros({groups, channels}, DType::kF32, device);
  const Tensor divisors = Tensor::zeros({groups}, DType::kF64, device);
  const Tensor merged = workspace({3, channels}, device);
  const Tensor moved_mean = norm.running_mean.clone(), moved_var = norm.running_var.clone();
  for (std::size_t g = 0; g < x.groups(); ++g) {
    if (x.sizes[g].rows() == 0) continue;
    DISPATCH(device, merge_moments, SharedParts{}, part_of(parts, g, {1, 3, channels}), merged,
             part_of(divisors, g, {1}));
    DISPATCH(device, batch_norm_finish, merged, params, part_of(mean, g, {channels}),
             part_of(inverse_std, g, {channels}), g == 0 ? norm.running_mean : moved_mean,
             g == 0 ? norm.running_var : moved_var);
  }
  return {mean, inverse_std, divisors};
}

/// Computed once, also when the body is recomputed.
Statistics statistics_of(const MapGroups& x, const BatchNormTensors& norm,
                         const BatchNormParams& params) {
  const std::vector<Tensor> statistics = once([&] {
    const std::int64_t channels = x.channels();
    const Device device = x.rows.device();
    const Tensor parts = zeroed_parts(x, 3);
    for (std::size_t g = 0; g < x.groups(); ++g) {
      if (x.sizes[g].rows() > 0)
        DISPATCH(device, batch_norm_moments, x.map(g), part_of(parts, g, {3, channels}));
    }
    return x.norms.sharing == NormSharing::kLocal ? local_statistics(x, parts, norm, params)
                                                  : shared_statistics(x, parts, norm, params);
  });
  return {.mean = statistics[0],
          .inverse_std = statistics[1],
          .gamma = norm.gamma.detach(),
          .beta = norm.beta.detach(),
          .divisors = statistics[2]};
}

Tensor in_place_of(const Tensor& given) {
  return given.unique() ? given : Tensor::empty_like(given);
}

MapGroups normalized(BatchNormFusion fusion, const MapGroups& x, const Statistics& statistics,
                     const Tensor& residual) {
  MapGroups y = x.with(Tensor::empty_like(x.rows));
  for (std::size_t g = 0; g < x.groups(); ++g) {
    if (x.sizes[g].rows() == 0) continue;
    DISPATCH(y.rows.device(), batch_norm_forward, fusion, x.map(g), statistics.of(g),
             residual.defined() ? x.map_of(residual, g) : Tensor(), y.map(g));
  }
  return y;
}

/// What the forward pass keeps. y: only where a residual was added.
struct Kept {
  BatchNormFusion fusion;
  MapGroups x;
  Statistics statistics;
  Tensor y;

  Grads gradients(const Tensor& dy, const Needs& needs) const {
    const std::int64_t channels = x.channels();
    const Tensor parts = zeroed_parts(x, 2);
    // dresidual is written while dy is read; dx is computed from dresidual then.
    const Tensor dresidual = needs[3] ? in_place_of(dy) : Tensor();
    const Tensor dx = !needs[0] ? Tensor() : in_place_of(needs[3] ? x.rows : dy);
    TreeSum dgamma, dbeta;
    for (std::size_t g = 0; g < x.groups(); ++g) {
      const BatchNormReduced reduced = room(g, part_of(parts, g, {2, channels}), dresidual, needs);
      if (x.sizes[g].rows() > 0) {
        DISPATCH(x.rows.device(), batch_norm_gradient_sums, fusion, x.map(g), statistics.of(g),
                 part(y, g), x.map_of(dy, g), reduced);
      }
      if (needs[1]) dgamma.add(reduced.dgamma);
      if (needs[2]) dbeta.add(reduced.dbeta);
    }
    // Every rank needs a gradient of x, or none does.
    if (dx.defined())
      write_dx(dresidual.defined() ? dresidual : dy, dresidual.defined(), parts, dx);
    return {dx, dgamma.total(), dbeta.total(), dresidual};
  }

 private:
  Tensor part(const Tensor& of, std::size_t g) const {
    return of.defined() ? x.map_of(of, g) : Tensor();
  }

  BatchNormReduced room(std::size_t g, const Tensor& sums, const Tensor& dresidual,
                        const Needs& needs) const {
    const MemoryScope scope(MemoryUse::kGradients);
    const auto like = [&](const Tensor& tensor) {
      return x.sizes[g].rows() > 0 ? Tensor::empty_like(tensor)
                                   : Tensor::zeros(tensor.shape(), tensor.dtype(), tensor.device());
    };
    return {.sums = sums,
            .dgamma = needs[1] ? like(statistics.gamma) : Tensor(),
            .dbeta = needs[2] ? like(statistics.beta) : Tensor(),
            .dresidual = part(dresidual, g)};
  }

  void write_dx(const Tensor& g_or_dy, bool has_g, const Tensor& parts, const Tensor& dx) const {
    const Device device = x.rows.device();
    const bool local = x.norms.sharing == NormSharing::kLocal;
    const Tensor all = local ? parts : of_all_ranks(x.norms, "batch norms, backward", parts);
    const Tensor averages = workspace({2, x.channels()}, device);
    for (std::size_t g = 0; g < x.groups(); ++g) {
      if (x.sizes[g].rows() == 0) continue;
      DISPATCH(device, average_parts, local ? part_of(all, g, {1, 2, x.channels()}) : all,
               part_of(statistics.divisors, g, {1}), averages);
      DISPATCH(device, batch_norm_dx, has_g ? BatchNormFusion::kNone : fusion, x.map(g),
               statistics.of(g), has_g ? Tensor() : part(y, g), x.map_of(g_or_dy, g), averages, 1.0,
               x.map_of(dx, g));
    }
  }
};

/// The ordinary batch norm, in evaluation.
Tensor ordinary(BatchNormFusion fusion, const Tensor& x, const Tensor& residual,
                const BatchNormTensors& norm, const BatchNormParams& params) {
  switch (fusion) {
    case BatchNormFusion::kNone:
      return batch_norm(x, norm.gamma, norm.beta, norm.running_mean, norm.running_var, params);
    case BatchNormFusion::kRelu:
      return batch_norm_relu(x, norm.gamma, norm.beta, norm.running_mean, norm.running_var, params);
    case BatchNormFusion::kAddRelu:
      return batch_norm_add_relu(x, residual, norm.gamma, norm.beta, norm.running_mean,
                                 norm.running_var, params);
  }
  return {};
}

}  // namespace

MapGroups batch_norm_groups(BatchNormFusion fusion, const MapGroups& x, const Tensor& residual,
                            const BatchNormTensors& norm, const BatchNormParams& given) {
  BatchNormParams params = given;
  params.momentum = x.norms.momentum;
  if (!params.training) return x.with(ordinary(fusion, x.rows, residual, norm, params));
  check(x, residual, norm);
  const Statistics statistics = statistics_of(x, norm, params);
  MapGroups y = normalized(fusion, x, statistics, residual);
  // x is kept for the gradient in any case.
  if (fusion != BatchNormFusion::kAddRelu && grad_enabled()) {
    y.again = [fusion, x = x.with(x.rows.detach()), statistics] {
      return normalized(fusion, x, statistics, {}).rows;
    };
  }
  record("batch_norm_groups", y.rows, {x.rows, norm.gamma, norm.beta, residual}, [&] {
    const bool adds = fusion == BatchNormFusion::kAddRelu;
    return [kept = Kept{.fusion = fusion,
                        .x = x.with(x.rows.detach()),
                        .statistics = statistics,
                        .y = adds ? y.rows.detach() : Tensor()}](
               const Tensor& dy, const Needs& needs) { return kept.gradients(dy, needs); };
  });
  return y;
}

}  // namespace invp
