#include "engine/files/pickle_opcodes.h"

#include <iomanip>
#include <sstream>

namespace invp {
namespace {

/// The names of the refused ones; the others never reach a message.
const char* name_of_refused(std::uint8_t opcode) {
  switch (opcode) {
    case '1': return "POP_MARK";
    case '2': return "DUP";
    case 'F': return "FLOAT";
    case 'I': return "INT";
    case 'L': return "LONG";
    case 'P': return "PERSID";
    case 'S': return "STRING";
    case 'V': return "UNICODE";
    case 'd': return "DICT";
    case 'g': return "GET";
    case 'i': return "INST";
    case 'l': return "LIST";
    case 'o': return "OBJ";
    case 'p': return "PUT";
    case 0x82: return "EXT1";
    case 0x83: return "EXT2";
    case 0x84: return "EXT4";
    case 0x8b: return "LONG4";
    case 0x8d: return "BINUNICODE8";
    case 0x8f: return "EMPTY_SET";
    case 0x90: return "ADDITEMS";
    case 0x91: return "FROZENSET";
    case 0x92: return "NEWOBJ_EX";
    case 0x96: return "BYTEARRAY8";
    case 0x97: return "NEXT_BUFFER";
    case 0x98: return "READONLY_BUFFER";
    default: return "no opcode of any protocol";
  }
}

}  // namespace

std::string describe_opcode(std::uint8_t opcode) {
  std::ostringstream out;
  out << "opcode 0x" << std::hex << std::setw(2) << std::setfill('0') << unsigned{opcode} << " ("
      << name_of_refused(opcode) << ')';
  return std::move(out).str();
}

}  // namespace invp
