#include "engine/files/pth_tensors.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "engine/files/numpy_pickle.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxLeaves = 1'000'000;

struct StorageClass {
  std::string_view global;
  StoredType type;
};
constexpr StorageClass kStorages[] = {
    {"torch.FloatStorage", StoredType::kF32}, {"torch.DoubleStorage", StoredType::kF64},
    {"torch.HalfStorage", StoredType::kF16},  {"torch.BFloat16Storage", StoredType::kBF16},
    {"torch.LongStorage", StoredType::kI64},  {"torch.IntStorage", StoredType::kI32},
    {"torch.ShortStorage", StoredType::kI16}, {"torch.CharStorage", StoredType::kI8},
    {"torch.ByteStorage", StoredType::kU8},   {"torch.BoolStorage", StoredType::kBool},
};

class Flattener {
 public:
  Flattener(const std::string& file, std::uint64_t max_bytes, const StorageLoader& load)
      : file_(file), budget_(max_bytes), load_(load) {}

  TensorFile run(const PickleValue& root) {
    if (root.is(Kind::kDict)) {
      const PickleValue* weights = root.get("state_dict");
      if (weights == nullptr || !weights->is(Kind::kDict)) weights = root.get("model");
      if (weights != nullptr && !weights->is(Kind::kDict)) weights = nullptr;
      // The path of the unwrapped dictionary is empty, as is the root's.
      walk_dict(root, "", 0, weights);
    } else {
      walk(root, "", 0);
    }
    return std::move(result_);
  }

 private:
  template <class... Parts>
  [[noreturn]] void broken(const PickleValue& at, const Parts&... parts) const {
    fail(file_, ": at byte ", at.offset, ": ", parts...);
  }

  void walk(const PickleValue& value, const std::string& name, int depth);
  void walk_dict(const PickleValue& dict, const std::string& name, int depth,
                 const PickleValue* unwrapped);
  void add_tensor(const PickleValue& at, const std::string& name, Tensor tensor);
  void note(const PickleValue& at, const std::string& name, std::string text);
  void charge(const PickleValue& at, std::uint64_t bytes) {
    if (bytes > budget_) broken(at, "the contents outgrow the file many times over; refused");
    budget_ -= bytes;
  }
  Tensor rebuild(const PickleValue& call);
  const Tensor& storage(const StorageReference& reference);
  std::vector<std::int64_t> integers(const PickleValue& tuple) const;
  Tensor strided_copy(const Tensor& storage, std::int64_t offset, const Shape& shape,
                      std::span<const std::int64_t> strides) const;

  const std::string& file_;
  std::uint64_t budget_;
  const StorageLoader& load_;
  TensorFile result_;
  std::set<std::string> names_;
  std::size_t leaves_ = 0;
  std::map<std::string, std::pair<StoredType, Tensor>> storages_;
  std::set<std::string> handed_out_;  ///< storages that a tensor already is
};

std::string join(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + '.' + std::string(key);
}

std::string text_of(double value) {
  std::array<char, 32> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return {digits.data(), end};
}

void Flattener::walk(const PickleValue& value, const std::string& name, int depth) {
  if (depth > kMaxDepth) broken(value, "\"", name, "\" is nested more than ", kMaxDepth, " deep");
  switch (value.kind) {
    case Kind::kDict: walk_dict(value, name, depth, nullptr); return;
    case Kind::kList:
    case Kind::kTuple:
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        walk(*value.items[i], join(name, std::to_string(i)), depth + 1);
      }
      // Even an empty container costs: shared ones can be visited 2^depth times.
      if (++leaves_ > kMaxLeaves) broken(value, "more than ", kMaxLeaves, " entries");
      return;
    case Kind::kNone: note(value, name, "None"); return;
    case Kind::kBool: note(value, name, value.integer != 0 ? "True" : "False"); return;
    case Kind::kInt: note(value, name, std::to_string(value.integer)); return;
    case Kind::kFloat: note(value, name, text_of(value.real)); return;
    case Kind::kText: note(value, name, value.text); return;
    case Kind::kBytes:
      broken(value, "\"", name, "\" holds raw bytes; only tensors and plain containers are read");
    case Kind::kGlobal: broken(value, "\"", name, "\" is the bare name ", value.text);
    case Kind::kPersistent: broken(value, "\"", name, "\" is a storage without a tensor");
    case Kind::kCall: break;
  }
  if (value.text.starts_with("torch._utils._rebuild")) {
    add_tensor(value, name, rebuild(value));
  } else if (value.is_call("torch.Size") && value.items.size() == 1) {
    walk(*value.items[0], name, depth + 1);
  } else if (const auto scalar = numpy_scalar(value)) {
    note(value, name, text_of(*scalar));
  } else if (const auto array = numpy_array(value, file_)) {
    add_tensor(value, name, array->to_tensor());
  } else {
    broken(value, "\"", name, "\" is made by ", value.text,
           ", which is neither tensor nor container");
  }
}

void Flattener::walk_dict(const PickleValue& dict, const std::string& name, int depth,
                          const PickleValue* unwrapped) {
  if (++leaves_ > kMaxLeaves) broken(dict, "more than ", kMaxLeaves, " entries");
  for (std::size_t i = 0; i < dict.items.size(); i += 2) {
    const PickleValue& key = *dict.items[i];
    const PickleValue& value = *dict.items[i + 1];
    if (&value == unwrapped) {
      walk_dict(value, name, depth + 1, nullptr);
      continue;
    }
    if (!key.is_string() && !key.is(Kind::kInt)) {
      broken(key, "a key in \"", name, "\" is neither text nor a whole number");
    }
    walk(value, join(name, key.is_string() ? key.text : std::to_string(key.integer)), depth + 1);
  }
}

void Flattener::add_tensor(const PickleValue& at, const std::string& name, Tensor tensor) {
  if (++leaves_ > kMaxLeaves) broken(at, "more than ", kMaxLeaves, " entries");
  charge(at, name.size());
  const std::string unique = name.empty() ? "tensor" : name;  // torch.save(tensor) has no name
  if (!names_.insert(unique).second) broken(at, "two tensors are called \"", unique, "\"");
  result_.tensors.emplace_back(unique, std::move(tensor));
}

void Flattener::note(const PickleValue& at, const std::string& name, std::string text) {
  if (++leaves_ > kMaxLeaves) broken(at, "more than ", kMaxLeaves, " entries");
  charge(at, text.size() + name.size());
  result_.metadata[name.empty() ? "value" : name] = std::move(text);
}

std::vector<std::int64_t> Flattener::integers(const PickleValue& tuple) const {
  const PickleValue& list =
      tuple.is_call("torch.Size") && tuple.items.size() == 1 ? *tuple.items[0] : tuple;
  if (!list.is(Kind::kTuple) && !list.is(Kind::kList))
    broken(tuple, "a tensor's shape is no tuple");
  if (list.items.size() > static_cast<std::size_t>(Shape::kMaxRank)) {
    broken(tuple, "a tensor has ", list.items.size(), " dimensions; at most ", Shape::kMaxRank,
           " are read");
  }
  std::vector<std::int64_t> numbers;
  for (const PickleValue* item : list.items) {
    if (!item->is(Kind::kInt) || item->integer < 0)
      broken(*item, "a tensor's extent or stride is no count");
    numbers.push_back(item->integer);
  }
  return numbers;
}

/// _rebuild_tensor(storage, offset, size, stride), _rebuild_tensor_v2(the same, requires_grad,
/// hooks), _rebuild_parameter(tensor, requires_grad, hooks).
Tensor Flattener::rebuild(const PickleValue& outer) {
  const PickleValue* call = &outer;
  if (call->is_call("torch._utils._rebuild_parameter")) {
    if (call->items.empty()) broken(*call, "a parameter without its tensor");
    call = call->items[0];
  }
  const bool tensor = call->is_call("torch._utils._rebuild_tensor_v2") ||
                      call->is_call("torch._utils._rebuild_tensor");
  if (!tensor || call->items.size() < 4 || !call->items[1]->is(Kind::kInt)) {
    broken(*call, "a tensor is not described the way PyTorch does");
  }
  const StorageReference reference = parse_storage(*call->items[0], file_);
  const std::int64_t offset = call->items[1]->integer;
  const std::vector<std::int64_t> extents = integers(*call->items[2]);
  const std::vector<std::int64_t> strides = integers(*call->items[3]);
  const std::optional<std::uint64_t> bytes =
      checked_bytes(extents, size_of(tensor_type(reference.type)));
  if (strides.size() != extents.size() || offset < 0 || !bytes) {
    broken(*call, "a tensor's shape and strides make no sense");
  }
  charge(*call, *bytes);

  const Shape shape(extents);
  std::int64_t row_major = 1;
  bool contiguous = true;
  std::int64_t room = reference.count - offset - 1;  // elements that the last index may lie further
  for (int i = shape.rank(); i-- > 0;) {
    const std::int64_t steps = shape[i] - 1;
    const std::int64_t stride = strides[static_cast<std::size_t>(i)];
    if (shape.numel() == 0) continue;
    if (steps > 0 && stride > room / steps) room = -1;
    if (room >= 0) room -= steps * stride;
    contiguous &= steps == 0 || stride == row_major;
    row_major *= shape[i];
  }
  if (shape.numel() != 0 && room < 0) {
    broken(*call, "a tensor of ", reference.count,
           " stored elements reaches beyond them; the file is damaged");
  }
  const Tensor& stored = storage(reference);
  if (contiguous && shape.numel() == reference.count && handed_out_.insert(reference.key).second) {
    return stored.view(shape);
  }
  return strided_copy(stored, offset, shape, strides);
}

const Tensor& Flattener::storage(const StorageReference& reference) {
  const auto found = storages_.find(reference.key);
  if (found == storages_.end()) {
    auto entry = std::pair(reference.type, load_(reference));
    return storages_.emplace(reference.key, std::move(entry)).first->second.second;
  }
  if (found->second.first != reference.type || found->second.second.numel() != reference.count) {
    fail(file_, ": at byte ", reference.offset, ": storage \"", reference.key,
         "\" is used with two types or lengths");
  }
  return found->second.second;
}

Tensor Flattener::strided_copy(const Tensor& storage, std::int64_t offset, const Shape& shape,
                               std::span<const std::int64_t> strides) const {
  Tensor copy = Tensor::empty(shape, storage.dtype());
  const std::size_t size = size_of(storage.dtype());
  const auto* from = static_cast<const std::byte*>(storage.raw());
  auto* to = static_cast<std::byte*>(copy.raw());
  std::array<std::int64_t, Shape::kMaxRank> index{};
  std::int64_t position = offset;
  for (std::int64_t i = 0; i < shape.numel(); ++i) {
    std::memcpy(to + static_cast<std::size_t>(i) * size,
                from + static_cast<std::size_t>(position) * size, size);
    for (int d = shape.rank(); d-- > 0;) {
      auto& at = index[static_cast<std::size_t>(d)];
      const std::int64_t stride = strides[static_cast<std::size_t>(d)];
      position += stride;
      if (++at < shape[d]) break;
      position -= shape[d] * stride;
      at = 0;
    }
  }
  return copy;
}

}  // namespace

std::span<const std::string_view> pth_globals() {
  static const std::vector<std::string_view> globals = [] {
    std::vector<std::string_view> all = {
        "collections.OrderedDict",
        "torch._utils._rebuild_tensor",
        "torch._utils._rebuild_tensor_v2",
        "torch._utils._rebuild_parameter",
        "torch.Size",
    };
    for (const StorageClass& storage : kStorages) all.push_back(storage.global);
    const auto numpy = numpy_globals();
    all.insert(all.end(), numpy.begin(), numpy.end());
    return all;
  }();
  return globals;
}

StorageReference parse_storage(const PickleValue& value, const std::string& file) {
  const auto broken = [&](const auto&... parts) {
    fail(file, ": at byte ", value.offset, ": ", parts...);
  };
  const bool persistent = value.is(Kind::kPersistent) && value.items[0]->is(Kind::kTuple);
  const auto& id = persistent ? value.items[0]->items : value.items;
  if (!persistent || id.size() < 5 || !id[0]->is_string() || id[0]->text != "storage" ||
      !id[1]->is(Kind::kGlobal) || !id[2]->is_string() || !id[4]->is(Kind::kInt) ||
      id[4]->integer < 0) {
    broken("a tensor's storage is not described the way PyTorch does");
  }
  if (id.size() > 5 && !id[5]->is(Kind::kNone)) {
    broken(
        "a storage that is a view of another, as PyTorch before 0.4 wrote; save it again with a "
        "newer one");
  }
  const auto* found = std::ranges::find(kStorages, id[1]->text, &StorageClass::global);
  if (found == std::end(kStorages)) broken(id[1]->text, " is no storage that can be read");
  return {found->type, id[2]->text, id[4]->integer, value.offset};
}

TensorFile flatten_pth(const PickleValue& root, const std::string& file, std::uint64_t max_bytes,
                       const StorageLoader& load) {
  return Flattener(file, max_bytes, load).run(root);
}

}  // namespace invp
