#include "engine/comm/wire.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <memory>

#include "engine/core/error.h"

namespace invp {

namespace {

constexpr std::size_t kLongest = std::size_t{1} << 24;  // bytes of a message

int milliseconds(Seconds time) {
  return static_cast<int>(std::max(1.0, 1000 * time.count()));
}

void without_delay(int file) {
  const int on = 1;
  setsockopt(file, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Socket connect_address(const addrinfo& address, Seconds time) {
  Socket socket(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.open()) return {};
  if (connect(socket.file(), address.ai_addr, address.ai_addrlen) != 0) {
    if (errno != EINPROGRESS) return {};
    pollfd wait{.fd = socket.file(), .events = POLLOUT, .revents = 0};
    if (poll(&wait, 1, milliseconds(time)) != 1) return {};
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(socket.file(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return {};
  }
  without_delay(socket.file());
  return socket;
}

}  // namespace

Socket::~Socket() {
  if (open()) close(file_);
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}

Socket listen_at(const std::vector<int>& ports) {
  int error = 0;
  for (const int port : ports) {
    Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    const bool listens =
        bind(socket.file(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
        listen(socket.file(), SOMAXCONN) == 0;
    if (listens) return socket;
    error = errno;
  }
  fail("rank 0 cannot listen for the others at ",
       ports.size() == 1 ? message("port ", ports[0])
                         : message("any of the ports ", ports.front(), " to ", ports.back()),
       ": ", std::strerror(error));
}

int port_of(const Socket& listening) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  getsockname(listening.file(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

std::vector<std::string> own_addresses() {
  std::vector<std::string> found;
  std::string loopback = "127.0.0.1";
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) == 0) {
    for (const ifaddrs* at = first; at != nullptr; at = at->ifa_next) {
      if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET) continue;
      if ((at->ifa_flags & IFF_UP) == 0 || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
      std::array<char, INET_ADDRSTRLEN> text{};
      inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, text.data(),
                text.size());
      found.emplace_back(text.data());
    }
    freeifaddrs(first);
  }
  found.push_back(loopback);
  return found;
}

Socket connect_to(const std::string& host, int port, Seconds time) {
  addrinfo wanted{};
  wanted.ai_family = AF_INET;
  wanted.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &wanted, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> all(found, freeaddrinfo);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    Socket socket = connect_address(*at, time);
    if (socket.open()) return socket;
  }
  return {};
}

Socket accept_at(const Socket& listening) {
  Socket socket(accept4(listening.file(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (socket.open()) without_delay(socket.file());
  return socket;
}

bool send_message(const Socket& socket, const Message& message, Seconds patience) {
  std::string bytes(sizeof(std::uint32_t), '\0');
  bytes += message.kind;
  for (const std::string& field : message.fields) bytes += field + '\0';
  const auto length = static_cast<std::uint32_t>(bytes.size() - sizeof(std::uint32_t));
  std::memcpy(bytes.data(), &length, sizeof length);
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t sent = send(socket.file(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent >= 0) {
      at += static_cast<std::size_t>(sent);
      continue;
    }
    if (errno == EINTR) continue;
    pollfd wait{.fd = socket.file(), .events = POLLOUT, .revents = 0};
    if (errno != EAGAIN || poll(&wait, 1, milliseconds(patience)) != 1) return false;
  }
  return true;
}

bool Inbox::read(const Socket& socket) {
  std::array<char, 4096> part;
  while (true) {
    const ssize_t got = recv(socket.file(), part.data(), part.size(), MSG_DONTWAIT);
    if (got > 0)
      bytes_.append(part.data(), static_cast<std::size_t>(got));
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
      return false;
    else
      break;
  }
  std::uint32_t length = 1;
  if (bytes_.size() >= sizeof length) std::memcpy(&length, bytes_.data(), sizeof length);
  return length > 0 && length <= kLongest;
}

bool Inbox::take(Message& message) {
  std::uint32_t length = 0;
  if (bytes_.size() < sizeof length) return false;
  std::memcpy(&length, bytes_.data(), sizeof length);
  if (length == 0 || bytes_.size() < sizeof length + length) return false;
  message.kind = bytes_[sizeof length];
  message.fields.clear();
  const std::string_view body(bytes_.data() + sizeof length + 1, length - 1);
  for (std::size_t at = 0; at < body.size();) {
    const std::size_t end = std::min(body.find('\0', at), body.size());
    message.fields.emplace_back(body.substr(at, end - at));
    at = end + 1;
  }
  bytes_.erase(0, sizeof length + length);
  return true;
}

}  // namespace invp
