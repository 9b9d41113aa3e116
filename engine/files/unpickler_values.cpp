#include <algorithm>

#include "engine/files/pickle_text.h"
#include "engine/files/unpickler.h"

namespace invp {

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

void Unpickler::make_call(const PickleValue& callee, const Items& arguments) {
  const std::string_view name =
      callee.is(Kind::kGlobal) ? std::string_view(callee.text) : std::string_view();
  if (make_known(name, arguments)) return;
  count_items(arguments.size());
  count_copied(name.size());
  PickleValue& noted = make(Kind::kCall);
  noted.text = name;
  noted.items = arguments;
}

bool Unpickler::make_known(std::string_view callee, const Items& arguments) {
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
bool Unpickler::make_bytes(std::string_view callee, const Items& arguments) {
  constexpr std::string_view kBytes[] = {"_codecs.encode", "builtins.bytes", "__builtin__.bytes",
                                         "builtins.bytearray", "__builtin__.bytearray"};
  if (std::ranges::find(kBytes, callee) == std::end(kBytes)) return false;
  std::string bytes;
  if (!arguments.empty()) {
    const bool latin1 = arguments.size() == 2 && arguments[0]->is(Kind::kText) &&
                        (arguments[1]->text == "latin1" || arguments[1]->text == "latin-1");
    const bool copy = arguments.size() == 1 && arguments[0]->is(Kind::kBytes);
    if (!latin1 && !copy) return false;  // another encoding: opaque
    // Each text is encoded once: one that is recalled again and again would grow without end. In
    // UTF-8 it has up to two bytes for each of the pickle.
    encoded_ += arguments[0]->text.size();
    if (encoded_ > 2 * bytes_) broken("encodes more bytes than it has");
    const auto encoded = latin1 ? latin1_bytes(arguments[0]->text) : std::nullopt;
    if (!encoded && !copy) return false;
    bytes = copy ? arguments[0]->text : *encoded;
  }
  set_text(Kind::kBytes, std::move(bytes));
  return true;
}

}  // namespace invp
