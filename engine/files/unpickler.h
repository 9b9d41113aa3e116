// The machine that reads a pickle (for pickle.cpp alone, whose second half is
// unpickler_values.cpp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "engine/files/pickle.h"
#include "engine/files/pickle_opcodes.h"

namespace invp {

class Unpickler {
 public:
  using Kind = PickleValue::Kind;
  using Items = std::vector<const PickleValue*>;

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
  // A pickle of 100,000 file names with labels needs some 200,000 values; a network some 10,000.
  static constexpr std::size_t kMaxValues = 2'000'000;
  static constexpr std::size_t kMaxMarks = 1000;
  // Recalled values let a pickle of a few bytes describe any number of entries: they are counted.
  static constexpr std::size_t kMaxItems = 16'000'000;

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

  /// Before text that is there already is written once more: what recalls a text is shorter than
  /// it.
  void count_copied(std::size_t bytes) {
    constexpr std::uint64_t kSmall = std::uint64_t{64} << 20;
    copied_ += bytes;
    if (copied_ > kSmall + 8 * bytes_) broken("repeats its texts more often than any checkpoint");
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
  void make_call(const PickleValue& callee, const Items& arguments);
  bool make_known(std::string_view callee, const Items& arguments);
  bool make_bytes(std::string_view callee, const Items& arguments);
  void extend_list(const Items& items);
  void extend_dict(const Items& entries);

  PickleInput& input_;
  std::uint64_t bytes_;
  std::uint64_t opcode_at_ = 0;
  bool done_ = false;
  std::size_t items_ = 0;
  std::size_t encoded_ = 0;   ///< bytes made by _codecs.encode and its like
  std::uint64_t copied_ = 0;  ///< bytes of names made of texts and names
  std::unique_ptr<std::deque<PickleValue>> values_ = std::make_unique<std::deque<PickleValue>>();
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  ///< heights of the stack
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

}  // namespace invp
