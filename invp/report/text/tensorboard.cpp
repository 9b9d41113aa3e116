#include "invp/report/text/tensorboard.h"

#include <unistd.h>

#include <array>
#include <bit>
#include <chrono>

#include "engine/core/error.h"
#include "engine/files/checksum.h"

namespace invp {

namespace {

// TFRecord stores CRCs rotated and offset, because a CRC of data that holds CRCs is weak.
std::uint32_t masked_crc(std::string_view bytes) {
  return std::rotr(crc32c(bytes), 15) + 0xA282EAD8u;
}

template <class Integer>
void append_little_endian(std::string& out, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) {
    out.push_back(static_cast<char>((value >> (8 * i)) & 0xFF));
  }
}

// Protocol buffer wire format: a key is (field number << 3) | wire type.
enum WireType : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>(value | 0x80));
  out.push_back(static_cast<char>(value));
}
void append_key(std::string& out, std::uint64_t field, WireType type) {
  append_varint(out, field << 3 | type);
}
void append_bytes(std::string& out, std::uint64_t field, std::string_view bytes) {
  append_key(out, field, kBytes);
  append_varint(out, bytes.size());
  out.append(bytes);
}

// Event: wall_time = 1 (double), step = 2 (int64), file_version = 3 (string), summary = 5
// (message).
std::string event_header(std::int64_t step) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  std::string event;
  append_key(event, 1, kFixed64);
  append_little_endian(event, std::bit_cast<std::uint64_t>(now.count()));
  append_key(event, 2, kVarint);
  append_varint(event, static_cast<std::uint64_t>(step));
  return event;
}

}  // namespace

std::string tfrecord(std::string_view payload) {
  std::string record;
  append_little_endian(record, std::uint64_t{payload.size()});
  append_little_endian(record, masked_crc(record));
  record.append(payload);
  append_little_endian(record, masked_crc(payload));
  return record;
}

TensorBoardWriter::TensorBoardWriter(const std::filesystem::path& folder, std::int64_t first_step) {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) host = {'h', 'o', 's', 't'};
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now).count();
  // A run that is resumed within a second must not overwrite the file of the earlier process.
  for (int attempt = 0; file_.empty() || std::filesystem::exists(file_); ++attempt) {
    file_ = folder / message("events.out.tfevents.", seconds + attempt, ".", host.data());
  }
  out_.open(file_, std::ios::binary);
  std::string event = event_header(0);
  append_bytes(event, 3, "brain.Event:2");
  out_ << tfrecord(event);
  std::string session;
  append_key(session, 1, kVarint);
  append_varint(session, 1);
  std::string start = event_header(first_step);
  append_bytes(start, 7, session);
  out_ << tfrecord(start) << std::flush;
  CHECK(out_.good(), file_.string(),
        ": cannot be written (is the disk full, the folder read-only?)");
}

void TensorBoardWriter::scalar(std::string_view tag, double value, std::int64_t step) {
  // Summary.Value: tag = 1 (string), simple_value = 2 (float).
  std::string point;
  append_bytes(point, 1, tag);
  append_key(point, 2, kFixed32);
  append_little_endian(point, std::bit_cast<std::uint32_t>(static_cast<float>(value)));
  std::string summary;
  append_bytes(summary, 1, point);
  std::string event = event_header(step);
  append_bytes(event, 5, summary);
  out_ << tfrecord(event);
}

void TensorBoardWriter::flush() {
  out_.flush();
  CHECK(out_.good(), file_.string(), ": cannot be written (is the disk full?)");
}

}  // namespace invp
