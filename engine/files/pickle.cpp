#include "engine/files/pickle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <unordered_map>
#include <utility>

#include "engine/files/pickle_opcodes.h"
#include "engine/files/pickle_text.h"

namespace invp {
namespace {

using Kind = PickleValue::Kind;
using Items = std::vector<const PickleValue*>;

// A pickle of 100,000 file names with labels needs some 200,000 values; a network some 10,000.
constexpr std::size_t kMaxValues = 2'000'000;
constexpr std::size_t kMaxMarks = 1000;
// Recalled values let a pickle of a few bytes describe any number of entries: they are counted.
constexpr std::size_t kMaxItems = 16'000'000;

class Unpickler {
 public:
  explicit Unpickler(PickleInput& input) : input_(input), bytes_(input.left()) {}

  Pickle run() {
    while (!done_) {
      opcode_at_ = input_.position();
      step(static_cast<Opcode>(take(1)[0]));
    }
    if (stack_.size() != 1 || !marks_.empty()) broken("does not end with exactly one value");
    return {std::move(values_), stack_[0]};
  }

 private:
  // --- input
  std::span<const std::byte> take(std::uint64_t count) {
    if (count > input_.left()) {
      broken("ends in the middle (", count, " bytes wanted, ", input_.left(),
             " left); the file was cut short or is damaged");
    }
    return input_.take(count);
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
    std::string result;
    for (char c = 0; (c = static_cast<char>(take(1)[0])) != '\n';) result += c;
    return result;
  }
  /// What a parser made of the next line.
  template <class Parse>
  auto parsed_line(const Parse& parse) {
    const auto value = parse(line());
    if (!value) broken("has a line that is not what its opcode says");
    return *value;
  }

  // --- stack, marks, memo
  template <class... Parts>
  [[noreturn]] void broken(const Parts&... parts) const {
    fail(input_.name(), ": at byte ", opcode_at_, ": the pickle ", parts...);
  }
  PickleValue& make(Kind kind) {
    if (values_->size() == kMaxValues) broken("holds more than ", kMaxValues, " values");
    values_->emplace_back();
    PickleValue& value = values_->back();
    value.kind = kind;
    value.offset = opcode_at_;
    push(&value);
    return value;
  }
  void push(PickleValue* value) {
    if (stack_.size() == kMaxValues) broken("holds more than ", kMaxValues, " values");
    stack_.push_back(value);
  }
  std::size_t floor() const { return marks_.empty() ? 0 : marks_.back(); }
  PickleValue& top() const {
    if (stack_.size() <= floor()) broken("takes a value that is not there");
    return *stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = &top();
    stack_.pop_back();
    return value;
  }
  PickleValue* pop(Kind wanted, const char* what) {
    if (!top().is(wanted)) broken("lacks ", what);
    return pop();
  }
  Items pop_to_mark() {
    if (marks_.empty()) broken("closes a list that was not opened");
    const auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    Items items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  void memoize(std::uint64_t index) {
    if (memo_.size() == kMaxValues) broken("remembers more than ", kMaxValues, " values");
    memo_[index] = &top();
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
  bool make_number(Opcode opcode);
  bool make_text(Opcode opcode);
  bool make_container(Opcode opcode);
  bool make_object(Opcode opcode);
  bool use_memo(Opcode opcode);
  void check_protocol(unsigned protocol) const {
    if (protocol > 5) broken("is of protocol ", protocol, "; 0 to 5 are read");
  }
  void set_text(Kind kind, std::string text) { make(kind).text = std::move(text); }
  void make_int(std::int64_t value) { make(Kind::kInt).integer = value; }
  void make_long(std::uint64_t count);
  void make_long(const std::string& line);
  void make_int(const std::string& line);
  void make_sequence(Kind kind, Items items) { make(kind).items = std::move(items); }
  void make_dict(Items entries);
  void make_tuple(std::size_t count);
  void make_call(const PickleValue& callee, Items arguments);
  bool make_known(const std::string& callee, const Items& arguments);
  bool make_bytes(const std::string& callee, const Items& arguments);
  void extend_list(const Items& items);
  void extend_dict(const Items& entries);

  PickleInput& input_;
  std::uint64_t bytes_;
  std::uint64_t opcode_at_ = 0;
  bool done_ = false;
  std::size_t items_ = 0;
  std::size_t encoded_ = 0;  ///< bytes made by _codecs.encode and its like
  std::unique_ptr<std::deque<PickleValue>> values_ = std::make_unique<std::deque<PickleValue>>();
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  ///< heights of the stack
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

void Unpickler::step(Opcode opcode) {
  if (make_number(opcode) || make_text(opcode) || make_container(opcode) || make_object(opcode) ||
      use_memo(opcode)) {
    return;
  }
  switch (opcode) {
    case Opcode::kProto: check_protocol(number<std::uint8_t>()); return;
    case Opcode::kFrame: take(8); return;  // a hint for buffering
    case Opcode::kMark:
      if (marks_.size() == kMaxMarks) broken("is nested more than ", kMaxMarks, " deep");
      marks_.push_back(stack_.size());
      return;
    case Opcode::kPop:
      if (!marks_.empty() && marks_.back() == stack_.size()) {
        marks_.pop_back();  // as Python does
      } else {
        pop();
      }
      return;
    case Opcode::kPopMark: pop_to_mark(); return;
    case Opcode::kDup: push(&top()); return;
    case Opcode::kStop: done_ = true; return;
    default: broken("uses opcode ", static_cast<int>(opcode), ", which no protocol has");
  }
}

bool Unpickler::make_number(Opcode opcode) {
  switch (opcode) {
    case Opcode::kNone: make(Kind::kNone); return true;
    case Opcode::kNewTrue: make(Kind::kBool).integer = 1; return true;
    case Opcode::kNewFalse: make(Kind::kBool).integer = 0; return true;
    case Opcode::kBinInt: make_int(number<std::int32_t>()); return true;
    case Opcode::kBinInt1: make_int(number<std::uint8_t>()); return true;
    case Opcode::kBinInt2: make_int(number<std::uint16_t>()); return true;
    case Opcode::kLong1: make_long(number<std::uint8_t>()); return true;
    case Opcode::kLong4: make_long(number<std::uint32_t>()); return true;
    case Opcode::kInt: make_int(line()); return true;
    case Opcode::kLong: make_long(line()); return true;
    case Opcode::kFloat: make(Kind::kFloat).real = parsed_line(parse_pickle_real); return true;
    case Opcode::kBinFloat: {
      std::array<std::byte, 8> big{};
      std::ranges::reverse_copy(take(8), big.begin());
      make(Kind::kFloat).real = std::bit_cast<double>(little_endian<std::uint64_t>(big.data()));
      return true;
    }
    default: return false;
  }
}

bool Unpickler::make_text(Opcode opcode) {
  switch (opcode) {
    case Opcode::kShortBinUnicode: set_text(Kind::kText, text(number<std::uint8_t>())); return true;
    case Opcode::kBinUnicode: set_text(Kind::kText, text(number<std::uint32_t>())); return true;
    case Opcode::kBinUnicode8: set_text(Kind::kText, text(number<std::uint64_t>())); return true;
    case Opcode::kUnicode: set_text(Kind::kText, parsed_line(parse_pickle_unicode)); return true;
    case Opcode::kString: set_text(Kind::kBytes, parsed_line(parse_pickle_string)); return true;
    case Opcode::kShortBinString:
    case Opcode::kShortBinBytes: set_text(Kind::kBytes, text(number<std::uint8_t>())); return true;
    case Opcode::kBinString: {  // its length is signed: a negative one becomes huge, and past the
                                // end of the file
      const auto count = static_cast<std::uint64_t>(std::int64_t{number<std::int32_t>()});
      set_text(Kind::kBytes, text(count));
      return true;
    }
    case Opcode::kBinBytes: set_text(Kind::kBytes, text(number<std::uint32_t>())); return true;
    case Opcode::kByteArray8:
    case Opcode::kBinBytes8: set_text(Kind::kBytes, text(number<std::uint64_t>())); return true;
    default: return false;
  }
}

bool Unpickler::make_container(Opcode opcode) {
  switch (opcode) {
    case Opcode::kEmptyList: make(Kind::kList); return true;
    case Opcode::kEmptyDict: make(Kind::kDict); return true;
    case Opcode::kEmptyTuple: make(Kind::kTuple); return true;
    case Opcode::kEmptySet: make(Kind::kOpaque); return true;
    case Opcode::kTuple1: make_tuple(1); return true;
    case Opcode::kTuple2: make_tuple(2); return true;
    case Opcode::kTuple3: make_tuple(3); return true;
    case Opcode::kTuple: make_sequence(Kind::kTuple, pop_to_mark()); return true;
    case Opcode::kList: make_sequence(Kind::kList, pop_to_mark()); return true;
    case Opcode::kDict: make_dict(pop_to_mark()); return true;
    case Opcode::kFrozenSet:
      pop_to_mark();
      make(Kind::kOpaque);
      return true;
    case Opcode::kAppend: extend_list({pop()}); return true;
    case Opcode::kAppends: extend_list(pop_to_mark()); return true;
    case Opcode::kAddItems:
      pop_to_mark();
      top();
      return true;
    case Opcode::kSetItem: {
      const PickleValue* value = pop();
      const PickleValue* key = pop();
      extend_dict({key, value});
      return true;
    }
    case Opcode::kSetItems: extend_dict(pop_to_mark()); return true;
    default: return false;
  }
}

bool Unpickler::make_object(Opcode opcode) {
  switch (opcode) {
    case Opcode::kGlobal: {
      const std::string module = line();
      set_text(Kind::kGlobal, module + '.' + line());
      return true;
    }
    case Opcode::kStackGlobal: {
      const std::string name = pop(Kind::kText, "the name of a global")->text;
      set_text(Kind::kGlobal, pop(Kind::kText, "the module of a global")->text + '.' + name);
      return true;
    }
    case Opcode::kExt1: take(1), make(Kind::kOpaque); return true;
    case Opcode::kExt2: take(2), make(Kind::kOpaque); return true;
    case Opcode::kExt4: take(4), make(Kind::kOpaque); return true;
    case Opcode::kNextBuffer: make(Kind::kOpaque); return true;  // bytes kept beside the pickle
    case Opcode::kReadonlyBuffer: top(); return true;
    case Opcode::kNewObjEx: pop(); [[fallthrough]];  // the arguments that have names
    case Opcode::kReduce:
    case Opcode::kNewObj: {
      const Items arguments = pop(Kind::kTuple, "the arguments of a call")->items;
      make_call(*pop(), arguments);
      return true;
    }
    case Opcode::kInst: {
      const std::string module = line();
      PickleValue callee;
      callee.kind = Kind::kGlobal;
      callee.text = module + '.' + line();
      make_call(callee, pop_to_mark());
      return true;
    }
    case Opcode::kObj: {
      Items items = pop_to_mark();
      if (items.empty()) broken("lacks the class of an object");
      const PickleValue& callee = *items.front();
      items.erase(items.begin());
      make_call(callee, std::move(items));
      return true;
    }
    case Opcode::kBuild: {
      const PickleValue* state = pop();
      // An OrderedDict with attributes (a state dict's _metadata) stays the dictionary it is.
      if (top().is(Kind::kCall)) top().state = state;
      return true;
    }
    case Opcode::kPersId: set_text(Kind::kText, line()); [[fallthrough]];
    case Opcode::kBinPersId: {
      const PickleValue* identifier = pop();
      make(Kind::kPersistent).items = {identifier};
      return true;
    }
    default: return false;
  }
}

bool Unpickler::use_memo(Opcode opcode) {
  const auto index = [](const std::string& line) { return parse_pickle_integer(line); };
  switch (opcode) {
    case Opcode::kPut: memoize(static_cast<std::uint64_t>(parsed_line(index))); return true;
    case Opcode::kBinPut: memoize(number<std::uint8_t>()); return true;
    case Opcode::kLongBinPut: memoize(number<std::uint32_t>()); return true;
    case Opcode::kMemoize: memoize(memo_.size()); return true;
    case Opcode::kGet: recall(static_cast<std::uint64_t>(parsed_line(index))); return true;
    case Opcode::kBinGet: recall(number<std::uint8_t>()); return true;
    case Opcode::kLongBinGet: recall(number<std::uint32_t>()); return true;
    default: return false;
  }
}

void Unpickler::make_long(std::uint64_t count) {
  const auto digits = take(count);
  if (digits.size() > 8) {
    make(Kind::kOpaque);
    return;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    value |= std::to_integer<std::uint64_t>(digits[i]) << (8 * i);
  }
  const bool negative = !digits.empty() && (digits.back() & std::byte{0x80}) != std::byte{0};
  if (negative && digits.size() < 8) value |= ~std::uint64_t{0} << (8 * digits.size());
  make_int(static_cast<std::int64_t>(value));
}

void Unpickler::make_long(const std::string& line) {
  const auto value = parse_pickle_integer(line);
  if (value) return make_int(*value);
  const bool digits = std::ranges::all_of(
      line, [](char c) { return (c >= '0' && c <= '9') || c == '-' || c == 'L'; });
  if (!digits) broken("has a line that is not what its opcode says");
  make(Kind::kOpaque);
}

void Unpickler::make_int(const std::string& line) {
  if (line != "00" && line != "01") return make_long(line);
  make(Kind::kBool).integer = line == "01" ? 1 : 0;  // how protocol 0 writes True and False
}

void Unpickler::make_tuple(std::size_t count) {
  Items items(count);
  for (std::size_t i = count; i-- > 0;) items[i] = pop();
  make_sequence(Kind::kTuple, std::move(items));
}

void Unpickler::make_dict(Items entries) {
  if (entries.size() % 2 != 0) broken("gives a key without a value");
  make(Kind::kDict).entries = std::move(entries);
}

void Unpickler::extend_list(const Items& items) {
  PickleValue& target = top();
  // A list of a class of its own, or a deque: nobody looks into it.
  if (target.is(Kind::kCall) || target.is(Kind::kOpaque)) return;
  if (!target.is(Kind::kList)) broken("lacks the list to append to");
  target.items.insert(target.items.end(), items.begin(), items.end());
}

void Unpickler::extend_dict(const Items& entries) {
  if (entries.size() % 2 != 0) broken("gives a key without a value");
  PickleValue& target = top();
  if (target.is(Kind::kOpaque)) return;
  if (!target.is(Kind::kDict) && !target.is(Kind::kCall)) broken("lacks the dictionary to fill");
  target.entries.insert(target.entries.end(), entries.begin(), entries.end());
}

void Unpickler::make_call(const PickleValue& callee, Items arguments) {
  const std::string name = callee.is(Kind::kGlobal) ? callee.text : std::string();
  if (make_known(name, arguments)) return;
  count_items(arguments.size());
  PickleValue& noted = make(Kind::kCall);
  noted.text = name;
  noted.items = std::move(arguments);
}

bool Unpickler::make_known(const std::string& callee, const Items& arguments) {
  constexpr std::string_view kDicts[] = {"collections.OrderedDict", "builtins.dict",
                                         "__builtin__.dict"};
  if (std::ranges::find(kDicts, callee) == std::end(kDicts)) return make_bytes(callee, arguments);
  Items entries;
  const Items none;
  const Items& pairs = arguments.empty() ? none : arguments[0]->items;
  count_items(2 * pairs.size());
  for (const PickleValue* pair : pairs) {
    if (pair->items.size() != 2) broken("fills a dictionary with something that is no pair");
    entries.insert(entries.end(), {pair->items[0], pair->items[1]});
  }
  make_dict(std::move(entries));
  return true;
}

/// Python 3 writes bytes so for protocols that have none.
bool Unpickler::make_bytes(const std::string& callee, const Items& arguments) {
  constexpr std::string_view kBytes[] = {"_codecs.encode", "builtins.bytes", "__builtin__.bytes",
                                         "builtins.bytearray", "__builtin__.bytearray"};
  if (std::ranges::find(kBytes, callee) == std::end(kBytes)) return false;
  std::string bytes;
  if (!arguments.empty()) {
    const bool latin1 = arguments.size() == 2 && arguments[0]->is(Kind::kText) &&
                        (arguments[1]->text == "latin1" || arguments[1]->text == "latin-1");
    const bool copy = arguments.size() == 1 && arguments[0]->is(Kind::kBytes);
    const auto encoded = latin1 ? latin1_bytes(arguments[0]->text) : std::nullopt;
    if (!encoded && !copy) return false;  // another encoding: opaque
    bytes = copy ? arguments[0]->text : *encoded;
    // Each text is encoded once: one that is recalled again and again would grow without end.
    encoded_ += bytes.size();
    if (encoded_ > bytes_) broken("encodes more bytes than it has");
  }
  set_text(Kind::kBytes, std::move(bytes));
  return true;
}

}  // namespace

const PickleValue* PickleValue::get(std::string_view key) const {
  for (std::size_t i = entries.size(); i >= 2; i -= 2) {  // of one key twice, the last counts
    if (entries[i - 2]->is_string() && entries[i - 2]->text == key) return entries[i - 1];
  }
  return nullptr;
}

Pickle read_pickle(PickleInput& input) {
  return Unpickler(input).run();
}

}  // namespace invp
