#include "engine/comm/hub.h"

#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "engine/comm/pace.h"
#include "engine/comm/peers.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

using Clock = std::chrono::steady_clock;

/// Fresh heartbeats come within this time after a rank has complained of another.
Seconds judging_time(const Limits& limits) {
  return 1.5 * limits.beat;
}

}  // namespace

/// Everything the thread has.
class Hub::Talk {
 public:
  Talk(Socket listening, int ranks, std::string token, const Limits& limits)
      : listening_(std::move(listening)),
        token_(std::move(token)),
        limits_(limits),
        peers_(ranks) {}

  void run(const std::atomic<bool>& closing) {
    std::optional<Clock::time_point> closing_since;
    while (!peers_.all_left()) {
      if (closing && !closing_since) closing_since = Clock::now();
      // Rank 0 has the line to print, and launchers kill soon: a run that is lost waits for nobody.
      if (closing && (lost_ || Clock::now() - *closing_since > limits_.step)) return;
      look();
      if (lost_ && peers_.all_gone()) return;
      if (!lost_) check_times();
      if (lost_) put_calls_together();
      beat();
    }
  }

 private:
  /// Waits for what sockets bring, and takes it.
  void look() {
    std::vector<pollfd> files = {{listening_.file(), POLLIN, 0}};
    std::erase_if(strangers_, [](const Stranger& stranger) { return !stranger.socket.open(); });
    for (const Stranger& stranger : strangers_)
      files.push_back({stranger.socket.file(), POLLIN, 0});
    for (const Peer& peer : peers_) files.push_back({peer.socket.file(), POLLIN, 0});
    poll(files.data(), files.size(), 50);
    for (Socket next = accept_at(listening_); next.open(); next = accept_at(listening_))
      strangers_.push_back({std::move(next), {}});
    for (Stranger& stranger : strangers_) meet(stranger);
    for (Peer& peer : peers_)
      if (peer.socket.open()) hear(peer);
  }

  struct Stranger {
    Socket socket;
    Inbox inbox;
  };

  void meet(Stranger& stranger) {
    const bool there = stranger.inbox.read(stranger.socket);
    Message hello;
    if (!stranger.inbox.take(hello)) {
      if (!there) stranger.socket = Socket();
      return;
    }
    Peer* const peer =
        hello.kind == say::kHello && hello.fields.size() == 4 && hello.fields[0] == token_
            ? peers_.find(hello.fields[1])
            : nullptr;
    if (peer == nullptr || peer->came) {
      stranger.socket = Socket();
      return;
    }
    peer->came = true;
    peer->host = hello.fields[2];
    peer->pid = hello.fields[3];
    peer->heard = Clock::now();
    peer->socket = std::move(stranger.socket);
    peer->inbox = std::move(stranger.inbox);
    stranger.socket = Socket();
    // So that it knows that it has found its run, and not another at the same port.
    send_message(peer->socket, {say::kBeat, {}}, kSend);
    if (!peers_.all_came()) return;
    Message welcome{say::kWelcome, {}};
    for (const Peer& each : peers_) {
      welcome.fields.push_back(each.host);
      welcome.fields.push_back(each.pid);
    }
    tell_all(welcome);
  }

  void hear(Peer& peer) {
    const bool there = peer.inbox.read(peer.socket);
    Message message;
    while (peer.inbox.take(message)) {
      peer.heard = Clock::now();
      take(peer, message);
    }
    if (there) return;
    peer.socket = Socket();
    if (!peer.left && !lost_ && !failed_) lose(peers_.name(peer) + " ended" + peer.where());
  }

  void take(Peer& peer, const Message& message) {
    switch (message.kind) {
      case say::kBeat: return peer.beat.take(message.fields);
      case say::kFacts:
        peer.facts = message.fields;
        if (peers_.all_gave(&Peer::facts)) compare_facts();
        return;
      case say::kShare:
        peer.said = message.fields;
        if (peers_.all_gave(&Peer::said)) pass_on();
        return;
      case say::kTicket:
        peer.ticket = message.fields;
        peer.ticket_at = Clock::now();
        peer.beat.at_step(message.fields.at(0));
        if (peers_.all_gave(&Peer::ticket)) answer_tickets();
        return;
      case say::kLate:
        peer.complaint = message.fields.at(0);
        peer.waited = message.fields.at(1);
        peer.waited_seconds = Seconds(std::atof(message.fields.at(2).c_str()));
        peer.complained = Clock::now();
        return;
      case say::kFailed:
        if (!failed_) failed_ = Clock::now();
        peer.failure = message.fields;
        code_ = std::max(code_, std::atoi(message.fields.at(1).c_str()));
        return;
      case say::kCalls: peer.last_calls = LastCalls::of(message.fields); return;
      case say::kBye: peer.left = true; return;
      default: return;
    }
  }

  void compare_facts() {
    const std::string difference = peers_.difference();
    tell_all(difference.empty() ? Message{say::kAgreed, {}} : Message{say::kRefused, {difference}});
  }

  void pass_on() {
    tell_all({say::kShare, *peers_.begin()->said});
    for (Peer& peer : peers_) peer.said.reset();
  }

  void answer_tickets() {
    pace_.step_at(Clock::now());
    const std::string slow = peers_.who_is_slow();
    Peers::Totals totals = peers_.totals();
    if (!totals.difference.empty()) return lose(totals.difference);
    totals.fields.push_back(slow);
    tell_all({say::kTicket, totals.fields});
  }

  void check_times() {
    const auto now = Clock::now();
    // A wrong option is found by all ranks at nearly the same time.
    if (failed_ && (peers_.all_gave(&Peer::failure) || now - *failed_ > kOthersFail))
      return lose(peers_.why_failed(), false);
    if (!peers_.all_came()) {
      if (now - start_ > limits_.rendezvous)
        lose(peers_.missing() + " did not come within " +
                 format_duration(limits_.rendezvous.count()),
             false);
      return;
    }
    for (const Peer& peer : peers_) {
      if (!peer.left && now - peer.heard > limits_.silence)
        return lose(peers_.name(peer) + " has not been heard of for " +
                    format_duration(limits_.silence.count()) + peer.where());
    }
    for (Peer& peer : peers_) {
      if (peer.complaint.empty() || now - peer.complained < judging_time(limits_)) continue;
      const std::string why = peers_.late_for(peer, limits_.slow);
      if (!why.empty() && peer.waited_seconds >= pace_.patience()) return lose(why);
      peer.complaint.clear();
      send_message(peer.socket, {say::kPatience, {}}, kSend);
    }
  }

  void beat() {
    if (Clock::now() - beaten_ < limits_.beat) return;
    beaten_ = Clock::now();
    tell_all({say::kBeat, {}});
  }

  /// `calls`: what the ranks were doing tells more.
  void lose(const std::string& why, bool calls = true) {
    if (lost_) return;
    lost_ = Clock::now();
    calls_told_ = !calls;
    tell_all({say::kLost, {why, std::to_string(code_), calls ? "1" : "0"}});
  }

  /// Rank 0 prints what the ranks that are there tell. A launcher may kill it soon.
  void put_calls_together() {
    if (calls_told_) return;
    const auto now = Clock::now();
    const auto expected = [&](const Peer& peer) {
      return peer.socket.open() && !peer.left && !peer.last_calls &&
             now - peer.heard < kOthersTell + 3 * limits_.beat;
    };
    if (now - *lost_ < kOthersTell && std::any_of(peers_.begin(), peers_.end(), expected)) return;
    calls_told_ = true;
    send_message(peers_.begin()->socket, {say::kCalls, {peers_.last_calls()}}, kSend);
  }

  void tell_all(const Message& message) {
    for (const Peer& peer : peers_)
      if (peer.socket.open()) send_message(peer.socket, message, kSend);
  }

  static constexpr Seconds kSend{0.2};
  static constexpr Seconds kOthersFail{0.3};
  static constexpr Seconds kOthersTell{0.3};

  Socket listening_;
  std::string token_;
  Limits limits_;
  Peers peers_;
  std::vector<Stranger> strangers_;
  Clock::time_point start_ = Clock::now();
  Clock::time_point beaten_ = start_;
  std::optional<Clock::time_point> failed_;
  int code_ = 1;
  std::optional<Clock::time_point> lost_;
  bool calls_told_ = false;
  Pace pace_;
};

Hub::Hub(Socket listening, int ranks, std::string token, const Limits& limits)
    : talk_(std::make_unique<Talk>(std::move(listening), ranks, std::move(token), limits)),
      thread_([this] { talk_->run(closing_); }) {}

Hub::~Hub() {
  closing_ = true;
  thread_.join();
}

}  // namespace invp
