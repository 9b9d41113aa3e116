#include "layers/module.h"

#include <algorithm>
#include <map>

namespace invp {

void Module::collect(const std::string& prefix, bool parameters, bool buffers,
                     std::vector<NamedTensor>& out) const {
  for (const Kind kind : {Kind::kParameter, Kind::kBuffer}) {
    if (!(kind == Kind::kParameter ? parameters : buffers)) continue;
    for (const Member& member : members_) {
      if (member.kind == kind) out.push_back({prefix + member.name, member.tensor});
    }
  }
  for (const auto& [name, child] : children_)
    child->collect(name.empty() ? prefix : prefix + name + ".", parameters, buffers, out);
}

std::vector<NamedTensor> Module::parameters() const {
  std::vector<NamedTensor> out;
  collect("", true, false, out);
  return out;
}

std::vector<NamedTensor> Module::buffers() const {
  std::vector<NamedTensor> out;
  collect("", false, true, out);
  return out;
}

std::vector<NamedTensor> Module::state() const {
  std::vector<NamedTensor> out;
  collect("", true, true, out);
  return out;
}

void Module::each_below(const std::string& prefix,
                        const std::function<void(const std::string& name, Module& module)>& visit) {
  for (const auto& [name, child] : children_) {
    const std::string full = name.empty() ? prefix : prefix + name + ".";
    visit(full.substr(0, full.empty() ? 0 : full.size() - 1), *child);
    child->each_below(full, visit);
  }
}

void Module::each(const std::function<void(const std::string& name, Module& module)>& visit) {
  each_below("", visit);
}

void Module::to(Device device) {
  const MemoryScope scope(MemoryUse::kParameters);
  for (const NamedTensor& item : state()) item.tensor.move_to(device);
  notify();
}

void Module::train(bool on) {
  training_ = on;
  state_changed();
  for (const auto& [name, child] : children_) child->train(on);
}

void Module::notify() {
  state_changed();
  for (const auto& [name, child] : children_) child->notify();
}

Tensor Module::add_parameter(std::string name, Tensor tensor) {
  tensor.set_requires_grad(true);
  members_.push_back({std::move(name), Kind::kParameter, tensor});
  return tensor;
}

Tensor Module::add_buffer(std::string name, Tensor tensor) {
  members_.push_back({std::move(name), Kind::kBuffer, tensor});
  return tensor;
}

void Module::add_child(std::string name, Module& child) {
  children_.emplace_back(std::move(name), &child);
}

namespace {

std::string list_names(const std::vector<std::string>& names) {
  constexpr std::size_t kShown = 3;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kShown); ++i)
    text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kShown) text += message(" and ", names.size() - kShown, " more");
  return text;
}

}  // namespace

void load_state(Module& module, const std::vector<NamedTensor>& state, const std::string& origin) {
  std::map<std::string, Tensor> given;
  for (const NamedTensor& item : state) given[item.name] = item.tensor;
  std::vector<std::string> missing;
  const std::vector<NamedTensor> wanted = module.state();
  for (const NamedTensor& item : wanted) {
    const auto found = given.find(item.name);
    if (found == given.end()) {
      missing.push_back(item.name);
      continue;
    }
    CHECK(found->second.shape() == item.tensor.shape(), origin, ": ", item.name, " has shape ",
          found->second.shape(), ", this network needs ", item.tensor.shape(),
          "; check --arch, --width, --head and --dim");
  }
  std::vector<std::string> extra;
  for (const auto& item : given) {
    const std::string& name = item.first;
    const bool known =
        std::ranges::any_of(wanted, [&](const NamedTensor& own) { return own.name == name; });
    if (!known) extra.push_back(name);
  }
  CHECK(missing.empty() && extra.empty(), origin, ": not this network's weights",
        missing.empty() ? "" : "; missing " + list_names(missing),
        extra.empty() ? "" : "; not known " + list_names(extra),
        "; check --arch, --width and --head");
  for (const NamedTensor& item : wanted)
    item.tensor.copy_from(given.at(item.name).to(item.tensor.device()));
  module.notify();
}

std::int64_t count_elements(const std::vector<NamedTensor>& tensors) {
  std::int64_t total = 0;
  for (const NamedTensor& item : tensors) total += item.tensor.numel();
  return total;
}

}  // namespace invp
