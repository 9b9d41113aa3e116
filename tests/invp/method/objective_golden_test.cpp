// The objective against double-precision results of an independent program
// (tests/golden/make_objective.py).
#include <gtest/gtest.h>

#include <cmath>
#include <set>
#include <tuple>

#include "engine/files/safetensors.h"
#include "invp/method/objective_case.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

using testing::values_of;

Tensor need(const TensorFile& file, const char* name) {
  const Tensor* found = file.find(name);
  CHECK(found != nullptr, "the golden file has no ", name);
  return *found;
}

ObjectiveConfig config_of(const TensorFile& file) {
  const auto& note = file.metadata;
  return {.form = note.at("objective") == "paper" ? ContrastForm::kPaper : ContrastForm::kReleased,
          .tau = std::stof(note.at("tau")),
          .steps = std::stoi(note.at("steps")),
          .hard_positives = std::stoll(note.at("hard_positives")),
          .background = std::stoll(note.at("background")),
          .lambda = std::stof(note.at("lambda")),
          .positives = note.at("positives") == "hard"   ? PositiveChoice::kLeastSimilar
                       : note.at("positives") == "easy" ? PositiveChoice::kMostSimilar
                                                        : PositiveChoice::kAll};
}

/// |a - b| / |b|
double distance(const Tensor& actual, const Tensor& wanted) {
  const testing::Values a = values_of(actual);
  const testing::Values b = values_of(wanted);
  CHECK(a.size() == b.size(), "sizes differ: ", a.size(), " and ", b.size());
  double difference = 0;
  double norm = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

std::vector<std::multiset<std::int64_t>> sets_of(const Tensor& lists) {
  std::vector<std::multiset<std::int64_t>> sets(static_cast<std::size_t>(lists.dim(0)));
  for (std::int64_t i = 0; i < lists.numel(); ++i) {
    const std::int64_t row = lists.data<std::int64_t>()[i];
    if (row >= 0) sets[static_cast<std::size_t>(i / lists.dim(1))].insert(row);
  }
  return sets;
}

class ObjectiveGolden : public ::testing::TestWithParam<std::tuple<Device, const char*>> {};

TEST_P(ObjectiveGolden, Agrees) {
  const auto& [device, name] = GetParam();
  const TensorFile file = read_safetensors(std::string(INVP_SOURCE_DIR) +
                                           "/tests/golden/data/objective_" + name + ".safetensors");
  const ObjectiveResult result = run_objective_case({.features = need(file, "features"),
                                                     .indices = need(file, "indices"),
                                                     .bank = need(file, "bank").to(device),
                                                     .neighbors = need(file, "neighbors")},
                                                    config_of(file));
  EXPECT_LT(distance(result.loss, need(file, "want_loss")), 2e-6);
  EXPECT_LT(distance(result.loss_ins, need(file, "want_loss_ins")), 2e-6);
  EXPECT_LT(distance(result.loss_inv, need(file, "want_loss_inv")), 5e-6);
  EXPECT_LT(distance(result.grad_features, need(file, "want_grad_features")), 2e-5);
  EXPECT_LT(distance(result.new_bank, need(file, "want_new_bank")), 1e-6);
  EXPECT_EQ(sets_of(result.hard_positives), sets_of(need(file, "want_hard_positives")));
  EXPECT_EQ(sets_of(result.new_neighbors), sets_of(need(file, "want_new_neighbors")));
}

INSTANTIATE_TEST_SUITE_P(All, ObjectiveGolden,
                         ::testing::Combine(::testing::ValuesIn(testing::available_devices()),
                                            ::testing::Values("paper", "paper_easy", "released",
                                                              "released_all")),
                         [](const auto& test) {
                           return std::string(std::get<1>(test.param)) +
                                  (std::get<0>(test.param) == kCpu ? "_cpu" : "_cuda");
                         });

}  // namespace
}  // namespace invp
