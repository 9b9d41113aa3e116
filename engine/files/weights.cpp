#include "engine/files/weights.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "engine/files/file_reader.h"
#include "engine/files/pth.h"
#include "engine/files/safetensors.h"

namespace invp {
namespace {

struct OtherFormat {
  std::string_view magic;
  const char* name;
};
constexpr OtherFormat kOthers[] = {
    {"\x89HDF", "an HDF5 file"},
    {"\x1f\x8b", "a gzip archive; unpack it first"},
    {"\x93NUMPY", "a numpy array"},
    {"GGUF", "a GGUF file"},
    {"<", "a web page; the download went wrong"},
    {"version https://git-lfs", "a Git LFS pointer; fetch the file itself with \"git lfs pull\""},
};

}  // namespace

std::unique_ptr<TensorSource> open_weights(const std::filesystem::path& path) {
  if (looks_like_pth(path)) return open_pth(path);
  const FileReader file(path);
  std::array<char, 32> start{};
  const std::size_t known = std::min<std::uint64_t>(start.size(), file.size());
  file.read(0, std::as_writable_bytes(std::span(start).first(known)));
  const std::string_view text(start.data(), known);
  CHECK(known > 0, path.string(), ": the file is empty; copy or download it again");
  constexpr std::size_t kLengthBytes = 8;  // before the '{' of a safetensors header
  if (known > kLengthBytes && text[kLengthBytes] == '{') return open_safetensors(path);
  for (const OtherFormat& other : kOthers) {
    CHECK(!text.starts_with(other.magic), path.string(), ": looks like ", other.name,
          "; weights are read from .safetensors, .pth and .pkl files");
  }
  return open_safetensors(path);
}

TensorFile load_weights(const std::filesystem::path& path) {
  return open_weights(path)->all();
}

}  // namespace invp
