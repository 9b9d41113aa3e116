#include "engine/files/pth_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <span>
#include <string_view>
#include <utility>

#include "engine/files/pth_types.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxRank = 64;
constexpr std::size_t kMaxVisits = 1'000'000;
constexpr std::size_t kMaxName = 4096;
constexpr std::size_t kMaxNames = std::size_t{64} << 20;  // bytes of all names together
constexpr std::size_t kMaxNotes = 10'000;

/// A call of the tree, or one that another call carries in its arguments.
struct Call {
  std::string_view name;
  std::span<const PickleValue* const> arguments;
};

// They hand on the tensor that is their first argument. The classes are of torch before 0.4.
constexpr std::string_view kHandOn[] = {
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_device_tensor_from_numpy",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor",
    "torch.nn.parameter.Parameter",
    "torch.nn.parameter.Buffer",
    "torch.autograd.variable.Variable",
};
// (function, class, arguments, state) of subclasses of Tensor.
constexpr std::string_view kOfType[] = {
    "torch._tensor._rebuild_from_type", "torch._tensor._rebuild_from_type_v2",
    "torch.tensor._rebuild_from_type", "torch.tensor._rebuild_from_type_v2"};
// (storage, offset, size, stride[, requires_grad, hooks[, dtype]])
constexpr std::string_view kRebuild[] = {"torch._utils._rebuild_tensor",
                                         "torch._utils._rebuild_tensor_v2",
                                         "torch._utils._rebuild_tensor_v3"};

bool is_among(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + '.' + std::string(key);
}

std::string text_of(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

/// What a file calls something, for a message.
std::string shown(std::string_view name) {
  constexpr std::size_t kShown = 100;
  return std::string(name.substr(0, kShown)) + (name.size() > kShown ? "..." : "");
}

/// A shape or the strides; nothing if they are no counts, or more than any tensor has.
std::optional<std::vector<std::int64_t>> counts_of(const PickleValue& tuple) {
  const PickleValue& list =
      tuple.is_call("torch.Size") && tuple.items.size() == 1 ? *tuple.items[0] : tuple;
  if ((!list.is(Kind::kTuple) && !list.is(Kind::kList)) || list.items.size() > kMaxRank)
    return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const PickleValue* item : list.items) {
    if (!item->is(Kind::kInt) || item->integer < 0) return std::nullopt;
    numbers.push_back(item->integer);
  }
  return numbers;
}

class Finder {
 public:
  Finder(const std::string& file, std::uint64_t max_bytes,
         const std::map<std::string, TensorView>& numbered)
      : file_(file), max_bytes_(max_bytes), numbered_(numbered) {}

  PthTensors run(const PickleValue& root) {
    walk(root, "", 0);
    for (const char* name : {"state_dict", "model"}) {
      const PickleValue* weights = root.get(name);
      if (weights == nullptr || !weights->is(Kind::kDict)) continue;
      unwrap(std::string(name) + '.');
      break;
    }
    return std::move(found_);
  }

 private:
  void walk(const PickleValue& value, const std::string& name, int depth);
  void walk_entries(const PickleValue& value, const std::string& name, int depth);
  void walk_call(const PickleValue& value, const std::string& name, int depth);
  void visit(const PickleValue& at, const std::string& name);
  void add(const PickleValue& value, const std::string& name, PthPlace place);
  void leave_out(const std::string& name, const std::string& why) {
    if (found_.left_out.size() < kMaxNotes) found_.left_out.push_back(name + ": " + why);
  }
  void note(const std::string& name, std::string_view text) {
    if (found_.metadata.size() == kMaxNotes || text.size() > kMaxName) return;
    found_.metadata[name.empty() ? "value" : name] = text;
  }
  const PickleValue* member(const PickleValue& state, std::string_view name);
  void unwrap(const std::string& wrapper);
  /// The tensor that a call makes, or in words why it makes none that can be read.
  std::variant<PthPlace, std::string> rebuild(Call call) const;
  std::variant<PthPlace, std::string> view_of(const Call& call) const;

  const std::string& file_;
  std::uint64_t max_bytes_;
  const std::map<std::string, TensorView>& numbered_;
  PthTensors found_;
  std::set<std::string> names_;
  /// Of states that were looked into: many objects may have one.
  std::map<std::pair<const PickleValue*, std::string_view>, const PickleValue*> members_;
  std::size_t visits_ = 0;
  std::size_t name_bytes_ = 0;
};

/// Even an empty container costs: shared ones can be visited 2^depth times.
void Finder::visit(const PickleValue& at, const std::string& name) {
  name_bytes_ += name.size();
  if (++visits_ > kMaxVisits || name_bytes_ > kMaxNames || name.size() > kMaxName) {
    fail(file_, ": at byte ", at.offset, ": ",
         visits_ > kMaxVisits ? message("more than ", kMaxVisits, " entries")
                              : message("names of ", std::max(name.size(), name_bytes_), " bytes"),
         "; no checkpoint of a network is like this");
  }
}

void Finder::walk(const PickleValue& value, const std::string& name, int depth) {
  visit(value, name);
  if (depth > kMaxDepth) return;
  switch (value.kind) {
    case Kind::kDict: walk_entries(value, name, depth); return;
    case Kind::kList:
    case Kind::kTuple:
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        walk(*value.items[i], join(name, std::to_string(i)), depth + 1);
      }
      return;
    case Kind::kNone: note(name, "None"); return;
    case Kind::kBool: note(name, value.integer != 0 ? "True" : "False"); return;
    case Kind::kInt: note(name, std::to_string(value.integer)); return;
    case Kind::kFloat: note(name, text_of(value.real)); return;
    case Kind::kText: note(name, value.text); return;
    case Kind::kCall: walk_call(value, name, depth); return;
    case Kind::kPersistent: {
      const PickleValue& id = *value.items[0];
      const auto found = numbered_.find(id.is(Kind::kInt) ? std::to_string(id.integer) : id.text);
      if (found != numbered_.end()) add(value, name, found->second);
      return;
    }
    case Kind::kBytes:
    case Kind::kGlobal:
    case Kind::kOpaque: return;
  }
}

void Finder::walk_entries(const PickleValue& value, const std::string& name, int depth) {
  for (std::size_t i = 0; i + 1 < value.entries.size(); i += 2) {
    const PickleValue& key = *value.entries[i];
    if (!key.is_string() && !key.is(Kind::kInt)) {
      visit(key, name);
      continue;
    }
    walk(*value.entries[i + 1],
         join(name, key.is_string() ? key.text : std::to_string(key.integer)), depth + 1);
  }
}

void Finder::walk_call(const PickleValue& value, const std::string& name, int depth) {
  if (const auto scalar = numpy_scalar(value)) return note(name, text_of(*scalar));
  if (auto array = numpy_array(value)) return add(value, name, std::move(*array));
  if (const std::string why = why_no_array(value); !why.empty()) return leave_out(name, why);
  if (value.text.starts_with("torch._utils._rebuild") || is_among(kHandOn, value.text) ||
      is_among(kOfType, value.text)) {
    const bool by_state = value.items.empty() && value.state != nullptr;
    auto place = rebuild({value.text, by_state ? value.state->items : value.items});
    if (auto* why = std::get_if<std::string>(&place)) return leave_out(name, *why);
    return add(value, name, std::get<PthPlace>(std::move(place)));
  }
  if (!value.entries.empty()) return walk_entries(value, name, depth);
  if (value.state == nullptr) return;
  // torch.save(model): a module keeps what it has in three dictionaries.
  for (const char* part : {"_parameters", "_buffers", "_modules"}) {
    const PickleValue* members = member(*value.state, part);
    if (members != nullptr) walk_entries(*members, name, depth);
  }
}

const PickleValue* Finder::member(const PickleValue& state, std::string_view name) {
  const auto [known, is_new] = members_.try_emplace({&state, name}, nullptr);
  if (is_new) known->second = state.get(name);
  return known->second;
}

void Finder::add(const PickleValue& value, const std::string& name, PthPlace place) {
  StoredTensor stored;
  stored.name = name.empty() ? "tensor" : name;  // torch.save(tensor) has no name
  if (const auto* view = std::get_if<TensorView>(&place)) {
    stored.type = view->storage.type;
    stored.extents = view->extents;
    if (!fits(*view, stored.bytes)) {
      return leave_out(name, message("at byte ", value.offset, " it reaches beyond its ",
                                     view->storage.part, " stored elements"));
    }
  } else {
    const auto& array = std::get<NumpyArray>(place);
    stored.type = array.type;
    stored.extents = array.extents;
    stored.bytes = array.bytes.size();
  }
  if (stored.bytes > max_bytes_) return leave_out(name, "it outgrows the file many times over");
  if (!names_.insert(stored.name).second) return leave_out(name, "another one has its name");
  found_.tensors.push_back(std::move(stored));
  found_.places.push_back(std::move(place));
}

std::variant<PthPlace, std::string> Finder::rebuild(Call call) const {
  for (int depth = 0; depth < kMaxDepth; ++depth) {
    if (is_among(kRebuild, call.name)) return view_of(call);
    const auto& arguments = call.arguments;
    if (is_among(kOfType, call.name) && arguments.size() > 2) {
      call = {arguments[0]->text, arguments[2]->items};
      continue;
    }
    if (!is_among(kHandOn, call.name) || arguments.empty()) break;
    const PickleValue& inner = *arguments[0];
    if (auto array = numpy_array(inner)) return PthPlace(std::move(*array));
    if (inner.is(Kind::kPersistent)) {
      const auto found = numbered_.find(inner.items[0]->text);
      if (found != numbered_.end()) return PthPlace(found->second);
    }
    call = {inner.text, inner.items};
  }
  return "it is made by " + shown(call.name) + ", which is not read";
}

std::variant<PthPlace, std::string> Finder::view_of(const Call& call) const {
  const auto& arguments = call.arguments;
  if (arguments.size() < 4 || !arguments[1]->is(Kind::kInt)) return "it is described otherwise";
  auto storage = parse_storage(*arguments[0]);
  if (auto* why = std::get_if<std::string>(&storage)) return std::move(*why);
  TensorView view{std::get<StorageReference>(std::move(storage)), arguments[1]->integer, {}, {}};
  if (call.name.ends_with("_v3")) {  // its storage is one of bytes
    const auto type = arguments.size() > 6 ? type_of_dtype(arguments[6]->text) : std::nullopt;
    if (!type) return "it is of a type that is not read";
    const auto size = static_cast<std::int64_t>(size_of(*type));
    if (view.storage.first % size != 0) return "it begins in the middle of an element";
    view.storage.type = *type;
    view.storage.count /= size;
    view.storage.first /= size;
    view.storage.part /= size;
  }
  auto extents = counts_of(*arguments[2]);
  auto strides = counts_of(*arguments[3]);
  if (!extents || !strides) return "its shape and strides make no sense";
  view.extents = std::move(*extents);
  view.strides = std::move(*strides);
  return PthPlace(std::move(view));
}

void Finder::unwrap(const std::string& wrapper) {
  const bool free = std::ranges::none_of(found_.tensors, [&](const StoredTensor& tensor) {
    return tensor.name.starts_with(wrapper) && names_.contains(tensor.name.substr(wrapper.size()));
  });
  if (!free) return;
  found_.wrapper = wrapper;
}

}  // namespace

std::variant<StorageReference, std::string> parse_storage(const PickleValue& value) {
  const bool persistent = value.is(Kind::kPersistent) && value.items[0]->is(Kind::kTuple);
  const auto& id = persistent ? value.items[0]->items : value.items;
  if (!persistent || id.size() < 5 || !id[0]->is_string() || id[0]->text != "storage" ||
      !id[1]->is(Kind::kGlobal) || !id[2]->is_string() || !id[4]->is(Kind::kInt) ||
      id[4]->integer < 0) {
    return "its storage is not described the way PyTorch does";
  }
  const bool untyped = id[1]->text == kUntypedStorage;
  const auto type = untyped ? StoredType::kU8 : type_of_storage(id[1]->text);
  if (!type) return "its storage is " + shown(id[1]->text) + ", which is not read";
  if (!checked_bytes(std::array{id[4]->integer}, *type))
    return "its storage has more elements than can be";
  StorageReference storage{*type, id[2]->text, id[4]->integer, 0, id[4]->integer};
  if (id.size() > 5 && id[5]->is(Kind::kTuple)) {  // (key, offset, count): torch before 0.4
    const auto& part = id[5]->items;
    if (part.size() != 3 || !part[1]->is(Kind::kInt) || !part[2]->is(Kind::kInt) ||
        part[1]->integer < 0 || part[1]->integer > storage.count || part[2]->integer < 0 ||
        part[2]->integer > storage.count - part[1]->integer) {
      return "the part of a storage that it is in makes no sense";
    }
    storage.first = part[1]->integer;
    storage.part = part[2]->integer;
  }
  return storage;
}

bool fits(const TensorView& view, std::uint64_t& bytes) {
  const auto checked = checked_bytes(view.extents, view.storage.type);
  if (!checked || view.strides.size() != view.extents.size() || view.offset < 0) return false;
  bytes = *checked;
  if (bytes == 0) return true;
  std::int64_t room = view.storage.part - view.offset - 1;  // that the last index may lie further
  if (room < 0) return false;
  for (std::size_t i = 0; i < view.extents.size(); ++i) {
    const std::int64_t steps = view.extents[i] - 1;
    if (steps > 0 && view.strides[i] > room / steps) return false;
    room -= steps * view.strides[i];
  }
  return true;
}

PthTensors find_tensors(const PickleValue& root, const std::string& file, std::uint64_t max_bytes,
                        const std::map<std::string, TensorView>& numbered) {
  return Finder(file, max_bytes, numbered).run(root);
}

}  // namespace invp
