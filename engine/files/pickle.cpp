#include "engine/files/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>
#include <utility>

#include "engine/files/file_reader.h"
#include "engine/files/pickle_opcodes.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;

// A pickle of 100,000 file names with labels needs some 200,000 values; a network some 10,000.
constexpr std::size_t kMaxValues = 2'000'000;
constexpr std::size_t kMaxMarks = 1000;
// Recalled values let a pickle of a few bytes describe any number of entries: they are counted.
constexpr std::size_t kMaxItems = 16'000'000;

/// A name from the file, made safe for a terminal.
std::string printable(std::string_view name) {
  constexpr std::size_t kLongest = 100;
  std::string shown(name.substr(0, kLongest));
  std::ranges::replace_if(
      shown, [](unsigned char c) { return c < 0x20 || c > 0x7E; }, '?');
  return name.size() > kLongest ? shown + "..." : shown;
}

/// The text of a latin-1 string, given as UTF-8: one byte per code point. False if one is above
/// 255.
bool latin1_bytes(std::string_view utf8, std::string& bytes) {
  for (std::size_t i = 0; i < utf8.size(); ++i) {
    const auto first = static_cast<unsigned char>(utf8[i]);
    if (first < 0x80) {
      bytes += static_cast<char>(first);
      continue;
    }
    if ((first & 0xFC) != 0xC0 || i + 1 == utf8.size()) return false;
    const auto second = static_cast<unsigned char>(utf8[++i]);
    bytes += static_cast<char>(((first & 0x03) << 6) | (second & 0x3F));
  }
  return true;
}

class Unpickler {
 public:
  Unpickler(std::span<const std::byte> bytes, std::span<const std::string_view> allowed,
            const std::string& name, std::uint64_t origin)
      : bytes_(bytes), allowed_(allowed), name_(name), origin_(origin) {}

  Pickle run() {
    while (!done_) {
      opcode_at_ = position_;
      step(static_cast<Opcode>(take(1)[0]));
    }
    if (stack_.size() != 1 || !marks_.empty()) broken("does not end with exactly one value");
    return {std::move(values_), stack_[0], position_};
  }

 private:
  // --- input
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > bytes_.size() - position_) {
      fail(name_, ": at byte ", origin_ + opcode_at_, ": the pickle ends in the middle (", count,
           " bytes wanted, ", bytes_.size() - position_,
           " left); the file was cut short or is damaged");
    }
    const auto part = bytes_.subspan(position_, static_cast<std::size_t>(count));
    position_ += part.size();
    return part;
  }
  template <class T>
  T number() {
    return little_endian<T>(take(sizeof(T)).data());
  }
  std::string text(std::uint64_t count) {
    const auto part = take(count);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  std::string line() {
    const auto rest = bytes_.subspan(position_);
    const auto end = std::ranges::find(rest, std::byte{'\n'});
    std::string result = text(static_cast<std::uint64_t>(end - rest.begin()));
    take(1);
    return result;
  }

  // --- stack, marks, memo
  template <class... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    fail(name_, ": at byte ", origin_ + opcode_at_, ": the pickle ", parts...);
  }
  PickleValue& make(Kind kind) {
    if (values_->size() == kMaxValues) broken("holds more than ", kMaxValues, " values");
    values_->push_back({.kind = kind, .offset = origin_ + opcode_at_});
    push(&values_->back());
    return values_->back();
  }
  void push(PickleValue* value) {
    if (stack_.size() == kMaxValues) broken("holds more than ", kMaxValues, " values");
    stack_.push_back(value);
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue& top(Kind wanted, const char* what) const {
    if (stack_.size() <= floor() || !stack_.back()->is(wanted)) broken("lacks ", what);
    return *stack_.back();
  }
  PickleValue* pop() {
    if (stack_.size() <= floor()) broken("takes a value that is not there");
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  std::vector<const PickleValue*> pop_to_mark() {
    if (marks_.empty()) broken("closes a list that was not opened");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<const PickleValue*> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void memoize(std::uint64_t index) {
    if (stack_.size() <= floor()) broken("remembers a value that is not there");
    if (memo_.size() == kMaxValues) broken("remembers more than ", kMaxValues, " values");
    memo_[index] = stack_.back();
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) broken("recalls value ", index, ", which it never kept");
    push(found->second);
  }

  void count_items(std::size_t more) {
    items_ += more;
    if (items_ > kMaxItems) broken("describes more than ", kMaxItems, " entries");
  }

  // --- opcodes
  void step(Opcode opcode);
  bool make_scalar(Opcode opcode);
  void make_text(Kind kind, std::uint64_t count) { make(kind).text = text(count); }
  void make_int(std::int64_t value) { make(Kind::kInt).integer = value; }
  void make_long();
  void make_tuple(std::size_t count);
  void make_global(const std::string& global);
  void extend_list(std::vector<const PickleValue*> items);
  void extend_dict(std::vector<const PickleValue*> items);
  void call();
  void build();

  std::span<const std::byte> bytes_;
  std::span<const std::string_view> allowed_;
  const std::string& name_;
  std::uint64_t origin_;
  std::size_t position_ = 0;
  std::size_t opcode_at_ = 0;
  bool done_ = false;
  std::size_t items_ = 0;
  std::size_t encoded_ = 0;  ///< bytes made by _codecs.encode
  std::unique_ptr<std::deque<PickleValue>> values_ = std::make_unique<std::deque<PickleValue>>();
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  ///< heights of the stack
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

// Numbers and texts, and what says how to read them. False if it is something else.
bool Unpickler::make_scalar(Opcode opcode) {
  switch (opcode) {
    case Opcode::kProto: {
      const unsigned protocol = number<std::uint8_t>();
      if (protocol < 2 || protocol > 5) broken("is of protocol ", protocol, "; 2 to 5 are read");
      return true;
    }
    case Opcode::kFrame: take(8); return true;  // a hint for buffering
    case Opcode::kNone: make(Kind::kNone); return true;
    case Opcode::kNewTrue: make(Kind::kBool).integer = 1; return true;
    case Opcode::kNewFalse: make(Kind::kBool).integer = 0; return true;
    case Opcode::kBinInt: make_int(number<std::int32_t>()); return true;
    case Opcode::kBinInt1: make_int(number<std::uint8_t>()); return true;
    case Opcode::kBinInt2: make_int(number<std::uint16_t>()); return true;
    case Opcode::kLong1: make_long(); return true;
    case Opcode::kBinFloat: {
      std::array<std::byte, 8> big{};
      std::ranges::reverse_copy(take(8), big.begin());
      make(Kind::kFloat).real = std::bit_cast<double>(little_endian<std::uint64_t>(big.data()));
      return true;
    }
    case Opcode::kShortBinUnicode: make_text(Kind::kText, number<std::uint8_t>()); return true;
    case Opcode::kBinUnicode: make_text(Kind::kText, number<std::uint32_t>()); return true;
    case Opcode::kShortBinString:
    case Opcode::kShortBinBytes: make_text(Kind::kBytes, number<std::uint8_t>()); return true;
    case Opcode::kBinString:  // its length is signed: a negative one becomes huge, and past the end
                              // of the file
      make_text(Kind::kBytes, static_cast<std::uint64_t>(std::int64_t{number<std::int32_t>()}));
      return true;
    case Opcode::kBinBytes: make_text(Kind::kBytes, number<std::uint32_t>()); return true;
    case Opcode::kBinBytes8: make_text(Kind::kBytes, number<std::uint64_t>()); return true;
    default: return false;
  }
}

void Unpickler::step(Opcode opcode) {
  if (make_scalar(opcode)) return;
  switch (opcode) {
    case Opcode::kEmptyList: make(Kind::kList); return;
    case Opcode::kEmptyDict: make(Kind::kDict); return;
    case Opcode::kEmptyTuple: make(Kind::kTuple); return;
    case Opcode::kTuple1: make_tuple(1); return;
    case Opcode::kTuple2: make_tuple(2); return;
    case Opcode::kTuple3: make_tuple(3); return;
    case Opcode::kTuple: {
      auto items = pop_to_mark();
      make(Kind::kTuple).items = std::move(items);
      return;
    }
    case Opcode::kMark:
      if (marks_.size() == kMaxMarks) broken("is nested more than ", kMaxMarks, " deep");
      marks_.push_back(stack_.size());
      return;
    case Opcode::kAppend: extend_list({pop()}); return;
    case Opcode::kAppends: extend_list(pop_to_mark()); return;
    case Opcode::kSetItem: {
      const PickleValue* value = pop();
      extend_dict({pop(), value});
      return;
    }
    case Opcode::kSetItems: extend_dict(pop_to_mark()); return;
    case Opcode::kBinPut: memoize(number<std::uint8_t>()); return;
    case Opcode::kLongBinPut: memoize(number<std::uint32_t>()); return;
    case Opcode::kMemoize: memoize(memo_.size()); return;
    case Opcode::kBinGet: recall(number<std::uint8_t>()); return;
    case Opcode::kLongBinGet: recall(number<std::uint32_t>()); return;
    case Opcode::kGlobal: {
      const std::string module = line();
      make_global(module + '.' + line());
      return;
    }
    case Opcode::kStackGlobal: {
      top(Kind::kText, "the name of a global");
      const std::string global = pop()->text;
      top(Kind::kText, "the module of a global");
      make_global(pop()->text + '.' + global);
      return;
    }
    case Opcode::kReduce:
    case Opcode::kNewObj: call(); return;
    case Opcode::kBuild: build(); return;
    case Opcode::kBinPersId: {
      const PickleValue* identifier = pop();
      make(Kind::kPersistent).items = {identifier};
      return;
    }
    case Opcode::kPop: pop(); return;
    case Opcode::kStop: done_ = true; return;
    default: break;
  }
  broken("uses ", describe_opcode(static_cast<std::uint8_t>(opcode)),
         ", which plain data does not need; refused, nothing was run");
}

void Unpickler::make_long() {
  const auto digits = take(number<std::uint8_t>());
  if (digits.size() > 8) broken("holds an integer of more than 64 bits");
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    value |= std::to_integer<std::uint64_t>(digits[i]) << (8 * i);
  }
  const bool negative = !digits.empty() && (digits.back() & std::byte{0x80}) != std::byte{0};
  if (negative && digits.size() < 8) value |= ~std::uint64_t{0} << (8 * digits.size());
  make_int(static_cast<std::int64_t>(value));
}

void Unpickler::make_tuple(std::size_t count) {
  std::vector<const PickleValue*> items(count);
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  make(Kind::kTuple).items = std::move(items);
}

void Unpickler::make_global(const std::string& global) {
  if (std::ranges::find(allowed_, global) == allowed_.end()) {
    broken("asks for \"", printable(global),
           "\"; only tensors and plain containers are read, nothing was run. "
           "Save the state dict alone (torch.save(model.state_dict(), ...)) or as safetensors");
  }
  make(Kind::kGlobal).text = global;
}

void Unpickler::extend_list(std::vector<const PickleValue*> items) {
  auto& list = top(Kind::kList, "the list to append to").items;
  list.insert(list.end(), items.begin(), items.end());
}

void Unpickler::extend_dict(std::vector<const PickleValue*> items) {
  if (items.size() % 2 != 0) broken("gives a key without a value");
  auto& dict = top(Kind::kDict, "the dictionary to fill").items;
  dict.insert(dict.end(), items.begin(), items.end());
}

void Unpickler::call() {
  top(Kind::kTuple, "the arguments of a call");
  const PickleValue* arguments = pop();
  const std::string callee = top(Kind::kGlobal, "the name of what it calls").text;
  pop();
  const auto& items = arguments->items;
  if (callee == "collections.OrderedDict") {
    std::vector<const PickleValue*> pairs;
    count_items(items.empty() ? 0 : 2 * items[0]->items.size());
    for (const PickleValue* pair : items.empty() ? items : items[0]->items) {
      if (pair->items.size() != 2) broken("fills a dictionary with something that is no pair");
      pairs.insert(pairs.end(), {pair->items[0], pair->items[1]});
    }
    make(Kind::kDict).items = std::move(pairs);
  } else if (callee == "_codecs.encode") {
    std::string encoded;
    if (items.size() != 2 || !items[0]->is(Kind::kText) ||
        (items[1]->text != "latin1" && items[1]->text != "latin-1") ||
        !latin1_bytes(items[0]->text, encoded)) {
      broken("calls _codecs.encode otherwise than for latin-1 bytes");
    }
    // Each text is encoded once: one that is recalled again and again would grow without end.
    encoded_ += encoded.size();
    if (encoded_ > bytes_.size()) broken("encodes more bytes than it has");
    make(Kind::kBytes).text = std::move(encoded);
  } else {
    count_items(items.size());
    PickleValue& noted = make(Kind::kCall);
    noted.text = callee;
    noted.items = items;
  }
}

void Unpickler::build() {
  const PickleValue* state = pop();
  if (stack_.size() <= floor()) broken("gives a state to nothing");
  PickleValue& target = *stack_.back();
  // An OrderedDict with attributes (a state dict's _metadata) stays the dictionary it is.
  if (target.is(Kind::kDict)) return;
  if (!target.is(Kind::kCall) || target.state != nullptr)
    broken("gives a state to what takes none");
  target.state = state;
}

}  // namespace

const PickleValue* PickleValue::get(std::string_view key) const {
  if (kind != Kind::kDict) return nullptr;
  for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
    if (items[i]->is_string() && items[i]->text == key) return items[i + 1];
  }
  return nullptr;
}

Pickle read_pickle(std::span<const std::byte> bytes, std::span<const std::string_view> allowed,
                   const std::string& name, std::uint64_t origin) {
  return Unpickler(bytes, allowed, name, origin).run();
}

}  // namespace invp
