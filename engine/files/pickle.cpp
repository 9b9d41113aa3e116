#include "engine/files/pickle.h"

#include <algorithm>
#include <array>
#include <bit>

#include "engine/files/pickle_text.h"
#include "engine/files/unpickler.h"

namespace invp {

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
      const std::string& name = pop(Kind::kText, "the name of a global")->text;
      const std::string& module = pop(Kind::kText, "the module of a global")->text;
      count_copied(module.size() + name.size());
      set_text(Kind::kGlobal, module + '.' + name);
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
      const Items& arguments = pop(Kind::kTuple, "the arguments of a call")->items;
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
      make_call(callee, items);
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
