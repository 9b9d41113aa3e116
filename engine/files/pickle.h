// Pickles of protocols 0 to 5, read as data: the opcodes build a tree of plain values and a call is
// only noted down, so nothing is ever executed or imported. What the tree has no form for (sets,
// integers of more than 64 bits, objects of any class) is kept as opaque, for nobody to look into.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/pickle_input.h"

namespace invp {

/// A node of the tree. Nodes may be shared, and a hostile pickle can make a list contain itself:
/// walk with a limit on depth and count.
struct PickleValue {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,    ///< integer
    kInt,     ///< integer
    kFloat,   ///< real
    kText,    ///< text, UTF-8
    kBytes,   ///< text; also the byte strings of Python 2
    kList,    ///< items
    kTuple,   ///< items
    kDict,    ///< entries: key, value, key, value, ...
    kGlobal,  ///< text: "module.name"
    kCall,    ///< an object that a call would make. text: the global called, empty if it is none;
              ///< items: its arguments; state: what BUILD gave; entries: what was set in it
    kPersistent,  ///< items: the one identifier
    kOpaque,
  };

  Kind kind = Kind::kNone;
  std::uint64_t offset = 0;  ///< the byte of the opcode that made it
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  std::vector<const PickleValue*> entries;
  const PickleValue* state = nullptr;

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_call(std::string_view name) const { return kind == Kind::kCall && text == name; }
  /// Text or bytes: Python 2 wrote names as either.
  bool is_string() const { return kind == Kind::kText || kind == Kind::kBytes; }
  /// The value of a key; null when there is none. Also for objects that are dictionaries of a class
  /// of their own (defaultdict).
  const PickleValue* get(std::string_view key) const;
};

/// Owns the tree.
struct Pickle {
  std::unique_ptr<std::deque<PickleValue>> values;
  const PickleValue* root = nullptr;
};

/// Reads up to and including STOP; `input` then stands behind it. Throws Error naming the file and
/// the byte for what Python could not read either, and beyond 2 million values.
///
/// Some globals are understood: collections.OrderedDict and dict become dictionaries,
/// _codecs.encode(text, "latin1"), bytes and bytearray become bytes.
Pickle read_pickle(PickleInput& input);

}  // namespace invp
