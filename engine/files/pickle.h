// Pickles, read as data: the opcodes build a tree of plain values and a call is only noted down, so
// nothing is ever executed or imported. Protocols 2 to 5 as far as torch.save and the CIFAR batches
// use them; every other opcode, and every global that the caller did not allow, is refused by name
// with its byte.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/error.h"

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
    kDict,    ///< items: key, value, key, value, ...
    kGlobal,  ///< text: "module.name"
    kCall,  ///< text: the global that would be called; items: its arguments; state: what BUILD gave
    kPersistent,  ///< items: the one identifier
  };

  Kind kind = Kind::kNone;
  std::uint64_t offset = 0;  ///< the byte of the opcode that made it
  std::int64_t integer = 0;
  double real = 0;
  std::string text;
  std::vector<const PickleValue*> items;
  const PickleValue* state = nullptr;

  bool is(Kind wanted) const { return kind == wanted; }
  bool is_call(std::string_view name) const { return kind == Kind::kCall && text == name; }
  /// Text or bytes: Python 2 wrote names as either.
  bool is_string() const { return kind == Kind::kText || kind == Kind::kBytes; }
  /// The value of a dictionary's key; null when there is none.
  const PickleValue* get(std::string_view key) const;
};

/// Owns the tree.
struct Pickle {
  std::unique_ptr<std::deque<PickleValue>> values;
  const PickleValue* root = nullptr;
  std::size_t size = 0;  ///< bytes up to and including STOP
};

/// `bytes` may go on after the pickle. Errors begin with `name` and give the byte counted from
/// `origin`, the place of bytes[0] in the file.
///
/// Two globals are understood, when allowed: collections.OrderedDict becomes a dictionary and
/// _codecs.encode(text, "latin1") becomes bytes.
Pickle read_pickle(std::span<const std::byte> bytes, std::span<const std::string_view> allowed,
                   const std::string& name, std::uint64_t origin = 0);

}  // namespace invp
