#include "engine/files/weights.h"

#include <algorithm>
#include <array>
#include <set>
#include <string_view>

#include "engine/files/file_reader.h"
#include "engine/files/pth.h"
#include "engine/files/safetensors.h"

namespace invp {
namespace {

constexpr std::string_view kPrefixes[] = {"module.", "encoder_q.", "backbone."};

struct OtherFormat {
  std::string_view magic;
  const char* name;
};
constexpr OtherFormat kOthers[] = {
    {"\x89HDF", "an HDF5 file"},
    {"\x1f\x8b", "a gzip archive; unpack it first"},
    {"\x93NUMPY", "a numpy array"},
    {"\x80", "a bare pickle"},
    {"GGUF", "a GGUF file"},
    {"<", "a web page; the download went wrong"},
    {"version https://git-lfs", "a Git LFS pointer; fetch the file itself with \"git lfs pull\""},
};

}  // namespace

TensorFile load_weights(const std::filesystem::path& path) {
  if (looks_like_pth(path)) return read_pth(path);
  const FileReader file(path);
  std::array<char, 32> start{};
  const std::size_t known = std::min<std::uint64_t>(start.size(), file.size());
  file.read(0, std::as_writable_bytes(std::span(start).first(known)));
  const std::string_view text(start.data(), known);
  CHECK(known > 0, path.string(), ": the file is empty; copy or download it again");
  constexpr std::size_t kLengthBytes = 8;  // before the '{' of a safetensors header
  if (known > kLengthBytes && text[kLengthBytes] == '{') return read_safetensors(path);
  for (const OtherFormat& other : kOthers) {
    CHECK(!text.starts_with(other.magic), path.string(), ": looks like ", other.name,
          "; weights are read from .safetensors and .pth files");
  }
  return read_safetensors(path);
}

void strip_prefixes(TensorFile& file) {
  std::set<std::string_view> names;
  for (auto& [name, tensor] : file.tensors) {
    std::string_view rest = name;
    for (bool again = true; again;) {
      again = false;
      for (const std::string_view prefix : kPrefixes) {
        if (!rest.starts_with(prefix)) continue;
        rest.remove_prefix(prefix.size());
        again = true;
      }
    }
    name.erase(0, name.size() - rest.size());
    CHECK(names.insert(name).second, "[weights] two tensors are called \"", name,
          "\" once their prefixes are gone; the file holds more than one network");
  }
}

}  // namespace invp
