// Messages over TCP, for the few words that ranks say besides tensors.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/comm/watch.h"

namespace invp {

/// A file descriptor of a socket; closed with the object. -1: none.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int file) : file_(file) {}
  ~Socket();
  Socket(Socket&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  Socket& operator=(Socket&& other) noexcept;
  int file() const { return file_; }
  bool open() const { return file_ >= 0; }

 private:
  int file_ = -1;
};

/// Listens at the first free of these ports (0: any) on all interfaces. Throws Error.
Socket listen_at(const std::vector<int>& ports);
int port_of(const Socket& listening);
/// The IPv4 addresses of the interfaces that are up, the loopback's last.
std::vector<std::string> own_addresses();
/// Not open if nobody answers within `time`. `host`: a name or an address.
Socket connect_to(const std::string& host, int port, Seconds time);
/// The next connection; not open if there is none.
Socket accept_at(const Socket& listening);

/// A kind and fields of text without zero bytes.
struct Message {
  char kind = 0;
  std::vector<std::string> fields;
};

/// False if the connection is gone, or the other end takes nothing for `patience`.
bool send_message(const Socket& socket, const Message& message, Seconds patience);

/// Puts messages together from what a connection brings.
class Inbox {
 public:
  /// Reads what is there, without waiting. False if the connection is at its end, or sends no
  /// messages.
  bool read(const Socket& socket);
  /// The next whole message; false if there is none.
  bool take(Message& message);

 private:
  std::string bytes_;
};

}  // namespace invp
