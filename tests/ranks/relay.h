// A cable between one rank and the hub that can be cut: nothing passes any more, and both ends
// keep their connection.
#pragma once

#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <thread>

#include "engine/comm/wire.h"

namespace invp::testing {

/// Passes bytes between the first connection to port() and `to` on this machine.
class Relay {
 public:
  explicit Relay(int to) : listening_(listen_at({0})), thread_([this, to] { run(to); }) {}
  ~Relay() {
    ending_ = true;
    thread_.join();
  }
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;
  int port() const { return port_of(listening_); }
  void cut() { cut_ = true; }

 private:
  void run(int to) {
    Socket near;
    while (!ending_ && !near.open()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      near = accept_at(listening_);
    }
    const Socket far = connect_to("127.0.0.1", to, Seconds(5));
    while (!ending_) {
      std::array<pollfd, 2> both = {{{near.file(), POLLIN, 0}, {far.file(), POLLIN, 0}}};
      poll(both.data(), both.size(), 10);
      if (cut_) continue;
      pass(near, far);
      pass(far, near);
    }
  }
  static void pass(const Socket& from, const Socket& to) {
    std::array<char, 4096> bytes{};
    const ssize_t got = recv(from.file(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got > 0) send(to.file(), bytes.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL);
  }

  Socket listening_;
  std::atomic<bool> cut_ = false;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

}  // namespace invp::testing
