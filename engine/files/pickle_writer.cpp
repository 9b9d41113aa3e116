#include "engine/files/pickle_writer.h"

namespace invp {

void PickleWriter::global(std::string_view module, std::string_view name) {
  (((bytes_ += 'c') += module) += '\n') += name;
  bytes_ += '\n';
}

void PickleWriter::text(std::string_view value) {
  bytes_ += 'X';
  little_endian(value.size(), 4);
  bytes_ += value;
}

void PickleWriter::integer(std::int64_t value) {
  if (value >= 0 && value <= 0x7FFFFFFF) {
    bytes_ += 'J';
    return little_endian(static_cast<std::uint64_t>(value), 4);
  }
  bytes_ += "\x8a\x08";  // LONG1 of eight bytes
  little_endian(static_cast<std::uint64_t>(value), 8);
}

void PickleWriter::tuple(std::span<const std::int64_t> values) {
  bytes_ += '(';
  for (const std::int64_t value : values) integer(value);
  bytes_ += 't';
}

void PickleWriter::empty_ordered_dict() {
  global("collections", "OrderedDict");
  bytes_ += ")R";
}

void PickleWriter::bytes_follow(std::uint64_t count) {
  bytes_ += '\x8e';
  little_endian(count, 8);
}

void PickleWriter::little_endian(std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>(value >> (8 * i) & 0xFF));
}

void PickleEnvelope::open(PickleWriter& pickle) const {
  if (under.empty()) return;
  pickle.opcode("}(");
  pickle.text(under);
}

void PickleEnvelope::close(PickleWriter& pickle) const {
  if (!under.empty()) {
    for (const auto& [key, note] : notes) {
      pickle.text(key);
      if (const auto* flag = std::get_if<bool>(&note)) {
        pickle.boolean(*flag);
      } else if (const auto* text = std::get_if<std::string>(&note)) {
        pickle.text(*text);
      } else {
        pickle.opcode("](");
        for (const std::string& entry : std::get<std::vector<std::string>>(note))
          pickle.text(entry);
        pickle.opcode("e");
      }
    }
    pickle.opcode("u");
  }
  pickle.opcode(".");
}

}  // namespace invp
