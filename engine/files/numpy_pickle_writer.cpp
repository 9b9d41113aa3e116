#include "engine/files/numpy_pickle_writer.h"

#include <array>
#include <string_view>
#include <vector>

#include "engine/files/atomic_file.h"
#include "engine/files/numpy_pickle.h"

namespace invp {
namespace {

constexpr int kProtocol = 4;  // the first whose bytes may be more than 4 GB

// numpy.core.multiarray._reconstruct(numpy.ndarray, (0,), b"b") with the state (version, shape,
// type, is_fortran, bytes). numpy 2 moved the function, and keeps this name for old pickles.
void pickle_array(PickleWriter& pickle, const StoredTensor& tensor, std::string_view code) {
  pickle.global("numpy.core.multiarray", "_reconstruct");
  pickle.opcode("(");
  pickle.global("numpy", "ndarray");
  pickle.tuple(std::array<std::int64_t, 1>{0});
  pickle.opcode(
      "C\x01"
      "b"
      "tR(K\x01");
  pickle.tuple(tensor.extents);
  pickle.global("numpy", "dtype");
  pickle.opcode("(");
  pickle.text(code);
  pickle.boolean(false);
  pickle.boolean(true);
  pickle.opcode("tR(K\x03");
  pickle.text(size_of(tensor.type) > 1 ? "<" : "|");
  constexpr std::string_view kPlain =
      "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xff";  // no fields, sizes -1
  pickle.opcode(kPlain);
  pickle.integer(0);
  pickle.opcode("tb");
  pickle.boolean(false);
  pickle.bytes_follow(tensor.bytes);
}

}  // namespace

void write_numpy_pickle(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                        const PickleEnvelope& envelope, const FillElements& fill) {
  AtomicFile file(path);
  PickleWriter pickle(kProtocol);
  envelope.open(pickle);
  pickle.opcode("}(");
  std::vector<std::byte> elements;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::string_view code = numpy_code(tensors[i].type);
    CHECK(!code.empty(), path.string(), ": tensor \"", tensors[i].name, "\" is of type ",
          name_of(tensors[i].type), ", which numpy does not have");
    pickle.text(tensors[i].name);
    pickle_array(pickle, tensors[i], code);
    file.append(pickle.take());
    elements.resize(static_cast<std::size_t>(tensors[i].bytes));
    fill(i, elements);
    file.append(elements);
    pickle.opcode("tb");  // the state ends here
  }
  pickle.opcode("u");
  envelope.close(pickle);
  file.append(pickle.take());
  file.commit();
}

}  // namespace invp
