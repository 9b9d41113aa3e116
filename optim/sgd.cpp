#include "optim/sgd.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace invp {

Sgd::Sgd(std::vector<Group> groups) : groups_(std::move(groups)) {
  for (const Group& group : groups_) slots_.emplace_back(group.parameters.size());
}

void Sgd::step(double lr_factor) {
  step(lr_factor, {});
}
void Sgd::step(const SgdControl& control) {
  step(1.0, control);
}

void Sgd::step(double lr_factor, const SgdControl& control) {
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    std::vector<SgdItem> items;
    for (std::size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      const Tensor& weight = groups_[g].parameters[i].tensor;
      if (!weight.grad().defined()) continue;
      Tensor& momentum = slots_[g][i].momentum;
      const bool first = !momentum.defined();
      if (first) {
        const MemoryScope scope(MemoryUse::kOptimizer);
        momentum = Tensor::empty_like(weight);
      }
      items.push_back({.weight = weight,
                       .gradient = weight.grad(),
                       .momentum = momentum,
                       .first = first,
                       .copy = weight.rounded()});
    }
    SgdHyper hyper = groups_[g].hyper;
    hyper.lr *= lr_factor;
    sgd_step(items, hyper, control);
  }
}

void Sgd::zero_grad() {
  for (Group& group : groups_) {
    for (SgdParameter& parameter : group.parameters) parameter.tensor.set_grad({});
  }
}

std::vector<SgdParameter> Sgd::state() const {
  std::vector<SgdParameter> state;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (std::size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      if (slots_[g][i].momentum.defined())
        state.push_back({groups_[g].parameters[i].name, slots_[g][i].momentum});
    }
  }
  return state;
}

void Sgd::load_state(const std::vector<SgdParameter>& state, const std::string& origin) {
  std::map<std::string, std::pair<const Tensor*, Slot*>> known;
  for (std::size_t g = 0; g < groups_.size(); ++g) {
    for (std::size_t i = 0; i < groups_[g].parameters.size(); ++i) {
      known[groups_[g].parameters[i].name] = {&groups_[g].parameters[i].tensor, &slots_[g][i]};
    }
  }
  for (const SgdParameter& item : state) {
    const auto found = known.find(item.name);
    CHECK(found != known.end(), origin, ": momentum of '", item.name,
          "', which this network does not have");
    const Tensor& weight = *found->second.first;
    CHECK(item.tensor.shape() == weight.shape() && item.tensor.dtype() == DType::kF32, origin,
          ": momentum of '", item.name, "' is ", item.tensor.dtype(), item.tensor.shape(),
          ", the parameter ", weight.shape());
  }
  // Each step updates all of a group, or nothing of it.
  std::set<std::string_view> given;
  for (const SgdParameter& item : state) given.insert(item.name);
  for (const Group& group : groups_) {
    const auto missing = [&](const SgdParameter& own) { return !given.contains(own.name); };
    const auto absent = std::ranges::find_if(group.parameters, missing);
    CHECK(absent == group.parameters.end() || std::ranges::all_of(group.parameters, missing),
          origin, ": no momentum of '", absent->name, "', but of others that are updated with it");
  }
  CHECK(given.size() == state.size(), origin, ": a momentum is given twice");
  for (auto& [name, entry] : known) entry.second->momentum = {};
  for (const SgdParameter& item : state) {
    const auto& [weight, slot] = known.at(item.name);
    const MemoryScope scope(MemoryUse::kOptimizer);
    slot->momentum = Tensor::empty_like(*weight);
    slot->momentum.copy_from(item.tensor.to(weight->device()));
  }
}

}  // namespace invp
