#include "data/sets/mat_file.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <optional>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

constexpr std::uint64_t kHeaderBytes = 128;
constexpr const char* kAgain = "; it was cut short or is damaged: download it again";

/// Inflates the bytes of a file that are one zlib stream.
class Inflater {
 public:
  Inflater(const FileReader& file, std::uint64_t offset, std::uint64_t bytes)
      : file_(file), offset_(offset), end_(offset + bytes), input_(1 << 16) {
    CHECK(inflateInit(&stream_) == Z_OK, "there is no memory to inflate ", file.path().string());
  }
  ~Inflater() { inflateEnd(&stream_); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// The next bytes of the stream; how many there were before its end. zlib compares the checksum
  /// when the end is reached.
  std::size_t read(std::span<std::byte> to) {
    std::size_t done = 0;
    while (done < to.size() && !ended_) {
      if (stream_.avail_in == 0 && offset_ < end_) refill();
      const auto chunk = std::min<std::size_t>(to.size() - done, std::size_t{1} << 30);
      stream_.next_out = reinterpret_cast<Bytef*>(to.data() + done);
      stream_.avail_out = static_cast<uInt>(chunk);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      done += chunk - stream_.avail_out;
      ended_ = status == Z_STREAM_END;
      const bool starved = status == Z_BUF_ERROR && stream_.avail_in == 0 && offset_ == end_;
      CHECK(ended_ || status == Z_OK, file_.path().string(), ": at byte ", offset_,
            starved ? ": the compressed data end too early" : ": the compressed data are wrong",
            kAgain);
    }
    return done;
  }

 private:
  void refill() {
    const auto count = static_cast<std::size_t>(
        std::min<std::uint64_t>(end_ - offset_, static_cast<std::uint64_t>(input_.size())));
    file_.read(offset_, std::span(input_).first(count));
    offset_ += count;
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    stream_.avail_in = static_cast<uInt>(count);
  }

  const FileReader& file_;
  std::uint64_t offset_, end_;
  std::vector<std::byte> input_;
  z_stream stream_{};
  bool ended_ = false;
};

struct Variable {
  std::vector<std::byte> bytes;
  MatArray array;  ///< lies in them
};

/// The matrix in a compressed element, if it is the variable `name`.
std::optional<std::vector<std::byte>> inflated(const FileReader& file, std::uint64_t offset,
                                               std::uint64_t bytes, bool swapped,
                                               const std::string& name) {
  constexpr std::size_t kBegin = 256;  // flags, dimensions and name are in it
  // As for zip archives: a small file must not fill the memory.
  const std::uint64_t most = 16 * file.size() + (std::uint64_t{64} << 20);
  Inflater inflater(file, offset, bytes);
  std::array<std::byte, kMatTagBytes> tag_bytes{};
  const bool has_tag = inflater.read(tag_bytes) == tag_bytes.size();
  const MatTag tag = read_mat_tag(tag_bytes, swapped);
  CHECK(has_tag && tag.type == kMatMatrix, file.path().string(), ": at byte ", offset,
        ": no array is compressed here", kAgain);
  std::vector<std::byte> matrix(
      static_cast<std::size_t>(std::min<std::uint64_t>(tag.bytes, kBegin)));
  matrix.resize(inflater.read(matrix));
  if (mat_variable_name(matrix, swapped) != name) return std::nullopt;
  CHECK(tag.bytes <= most, file.path().string(), ": ", name, ": ", tag.bytes,
        " bytes are announced, more than the ", most, " that are unpacked from a file of ",
        file.size(), " bytes; if you trust it, save it with -v6");
  const std::size_t begun = matrix.size();
  matrix.resize(static_cast<std::size_t>(tag.bytes));
  std::array<std::byte, 8> beyond{};
  const std::size_t rest = inflater.read(std::span(matrix).subspan(begun));
  CHECK(begun + rest == matrix.size() && inflater.read(beyond) == 0, file.path().string(), ": ",
        name, ": ", matrix.size(), " bytes are announced, ",
        begun + rest == matrix.size() ? "more" : "fewer", " are there", kAgain);
  return matrix;
}

}  // namespace

MatValue::MatValue(std::shared_ptr<const MatArray> array, std::string where)
    : array_(std::move(array)), where_(std::move(where)) {}

std::int64_t MatValue::integer(std::int64_t i, std::int64_t low, std::int64_t high) const {
  const std::string element_name = count() <= 1 ? where_ : message(where_, "(", i + 1, ")");
  CHECK(i >= 0 && i < count() && array_->is_number() && !array_->complex, element_name,
        ": is missing or not a real number");
  const double value = mat_number(*array_, i);
  CHECK(value >= static_cast<double>(low) && value <= static_cast<double>(high) &&
            value == std::floor(value),
        element_name, ": is ", value, ", a whole number from ", low, " to ", high, " was expected");
  return static_cast<std::int64_t>(value);
}

std::span<const std::uint8_t> MatValue::bytes() const {
  CHECK(array_->is(MatClass::kUint8) && mat_storage_bytes(array_->storage) == 1 && !array_->complex,
        where_, ": holds no bytes (uint8)");
  return {reinterpret_cast<const std::uint8_t*>(array_->data.data()), array_->data.size()};
}

std::string MatValue::text() const {
  CHECK(array_->is(MatClass::kText), where_, ": is no text");
  return mat_text(*array_, where_);
}

MatValue MatValue::inner(std::size_t i, std::string where) const {
  // Shares the ownership of the whole variable.
  return {std::shared_ptr<const MatArray>(array_, &array_->inner[i]), std::move(where)};
}

MatValue MatValue::cell(std::int64_t i) const {
  const std::string cell_name = message(where_, "{", i + 1, "}");
  CHECK(array_->is(MatClass::kCell) && i >= 0 && i < count(), cell_name, ": there is no such cell");
  return inner(static_cast<std::size_t>(i), cell_name);
}

MatValue MatValue::field(std::int64_t i, const char* name) const {
  const std::string field_name = message(where_, "(", i + 1, ").", name);
  const auto at = std::ranges::find(array_->fields, name);
  CHECK(is_structure() && at != array_->fields.end() && i >= 0 && i < count(), field_name,
        ": there is no such field");
  const auto column = static_cast<std::size_t>(at - array_->fields.begin());
  return inner(static_cast<std::size_t>(i) * array_->fields.size() + column, field_name);
}

MatFile::MatFile(const std::filesystem::path& path) : file_(path) {
  const std::string name = path.string();
  CHECK(file_.size() >= kHeaderBytes, name, ": not a MATLAB file, or damaged", kAgain);
  const std::vector<std::byte> header = file_.read(0, kHeaderBytes);
  const auto character = [&](std::size_t i) { return std::to_integer<char>(header[i]); };
  const bool little = character(126) == 'I' && character(127) == 'M';
  const bool big = character(126) == 'M' && character(127) == 'I';
  CHECK(little || big, name, ": not a MATLAB file of level 5, or damaged; download it again");
  swapped_ = little != (std::endian::native == std::endian::little);
  const int version = std::to_integer<int>(header[little ? 125 : 124]);
  CHECK(version != 2, name, ": is of version 7.3 (HDF5), which is not read; save it with -v7");
  CHECK(version == 1, name, ": has the unknown version ", version, "; is it a MATLAB file?");
}

MatValue MatFile::variable(const char* name) const {
  const std::string where = file_.path().string() + ": " + name;
  for (std::uint64_t at = kHeaderBytes; at < file_.size();) {
    CHECK(file_.size() - at >= kMatTagBytes, file_.path().string(), ": at byte ", at,
          ": the file ends within an element", kAgain);
    const MatTag tag = read_mat_tag(file_.read(at, kMatTagBytes), swapped_);
    at += kMatTagBytes;
    CHECK(tag.bytes <= file_.size() - at, file_.path().string(), ": an element of ", tag.bytes,
          " bytes is announced at byte ", at, ", ", file_.size() - at, " are there", kAgain);
    std::optional<std::vector<std::byte>> matrix;
    if (tag.type == kMatCompressed) {
      matrix = inflated(file_, at, tag.bytes, swapped_, name);
    } else if (tag.type == kMatMatrix) {
      std::vector<std::byte> bytes = file_.read(at, tag.bytes);
      if (mat_variable_name(bytes, swapped_) == name) matrix = std::move(bytes);
    }
    if (matrix) {
      const auto variable = std::make_shared<Variable>();
      variable->bytes = std::move(*matrix);
      variable->array = read_mat_array(variable->bytes, swapped_, where);
      CHECK(variable->array.count > 0, where,
            ": is empty; the file was cut short or is another one");
      return {std::shared_ptr<const MatArray>(variable, &variable->array), where};
    }
    at += tag.bytes;
  }
  fail(file_.path().string(), ": has no variable ", name, "; is it another file?");
}

}  // namespace invp
