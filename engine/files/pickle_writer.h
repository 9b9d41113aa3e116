// Pickles written without Python: the few opcodes that dictionaries of tensors need, and what
// stands around such a dictionary in a checkpoint.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace invp {

class PickleWriter {
 public:
  explicit PickleWriter(int protocol) { bytes_ = {'\x80', static_cast<char>(protocol)}; }

  void opcode(std::string_view code) { bytes_ += code; }
  void global(std::string_view module, std::string_view name);
  void text(std::string_view value);
  void integer(std::int64_t value);
  void boolean(bool value) { bytes_ += value ? '\x88' : '\x89'; }
  void tuple(std::span<const std::int64_t> values);
  void empty_ordered_dict();
  /// The head of so many bytes, which the caller writes behind it. Asks for protocol 4.
  void bytes_follow(std::uint64_t count);

  const std::string& bytes() const { return bytes_; }
  /// What was written since the last call, to be put into a file part by part.
  std::string take() { return std::exchange(bytes_, {}); }

 private:
  void little_endian(std::uint64_t value, int count);
  std::string bytes_;
};

/// What stands around the tensors of a checkpoint: {under: {name: tensor, ...}, key: note, ...}.
struct PickleEnvelope {
  using Note = std::variant<bool, std::string, std::vector<std::string>>;

  std::string under;  ///< "model"; empty: the tensors are all there is, and no notes are written
  std::vector<std::pair<std::string, Note>> notes;

  /// Up to where the dictionary of tensors stands.
  void open(PickleWriter& pickle) const;
  /// What comes after it, and the end of the pickle.
  void close(PickleWriter& pickle) const;
};

}  // namespace invp
