#include "engine/comm/contact.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "engine/comm/host.h"
#include "engine/core/text.h"

namespace invp {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Seconds kSend{5};
/// For which rank 0 waits for them.
constexpr Seconds kCallsOfAll{0.6};
/// For which the others do not end yet.
constexpr Seconds kAfterTheLine{0.5};

/// Whether the hub is there, and of this run: others close, or have nothing to say.
bool answers(const Socket& socket, const Message& hello) {
  if (!socket.open() || !send_message(socket, hello, kSend)) return false;
  pollfd wait{.fd = socket.file(), .events = POLLIN, .revents = 0};
  char byte = 0;
  return poll(&wait, 1, 2000) == 1 && recv(socket.file(), &byte, 1, MSG_PEEK) == 1;
}

/// The first of rank 0's hosts and ports that answers, tried again and again. Has said hello.
Socket reach(const MeetingPlace& place, const Message& hello, Seconds within) {
  const auto start = Clock::now();
  while (Clock::now() - start < within) {
    for (const std::string& host : place.hosts) {
      for (const int port : place.ports) {
        Socket socket = connect_to(host, port, Seconds(2));
        if (answers(socket, hello)) return socket;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
  throw RunLost(
      message("rank 0 cannot be reached at ", joined(place.hosts), ", port ", place.ports.front(),
              place.ports.size() == 1 ? "" : message(" to ", place.ports.back()),
              ": does a firewall forbid it?"),
      true);
}

/// Ends the process in `time`, with what its main thread has not said.
void end_at_latest(Seconds time, std::string text, int code, std::shared_ptr<Socket> error,
                   std::shared_ptr<std::atomic<bool>> told) {
  std::thread([time, code, text = std::move(text), error = std::move(error),
               told = std::move(told)] {
    std::this_thread::sleep_for(time);
    if (!text.empty() && !told->exchange(true)) {
      [[maybe_unused]] const ssize_t said = write(error->file(), text.data(), text.size());
    }
    std::_Exit(code);
  }).detach();
}

}  // namespace

Control::Contact::Contact(const Ranks& ranks, MeetingPlace place, const Limits& limits,
                          std::filesystem::path folder)
    : ranks_(ranks),
      limits_(limits),
      folder_(std::move(folder)),
      error_(std::make_shared<Socket>(dup(STDERR_FILENO))) {
  if (ranks.rank == 0)
    hub_ = std::make_unique<Hub>(std::move(place.listening), ranks.size, place.token, limits);
  socket_ =
      reach(place,
            {say::kHello,
             {place.token, std::to_string(ranks.rank), host_name(), std::to_string(getpid())}},
            limits.rendezvous);
  heard_ = Clock::now();
  thread_ = std::thread([this] { run(); });
  try {
    const Message welcome = await(say::kWelcome, say::kWelcome, 2 * limits.rendezvous, "");
    const std::lock_guard lock(mutex_);
    hub_name_ = message("rank 0 (", welcome.fields.at(0), ", pid ", welcome.fields.at(1), ")");
  } catch (...) {
    leaving_ = true;
    thread_.join();
    throw;
  }
}

Control::Contact::~Contact() {
  leaving_ = true;
  if (thread_.joinable()) thread_.join();
  const std::lock_guard lock(sending_);
  if (!is_lost_) send_message(socket_, {say::kBye, {}}, kSend);
}

void Control::Contact::send(const Message& message) {
  const std::lock_guard lock(sending_);
  send_message(socket_, message, kSend);  // that the hub is gone is heard by the thread
}

void Control::Contact::at(const char* phase, std::int64_t step, bool slow) {
  const std::lock_guard lock(mutex_);
  phase_ = phase;
  step_ = step;
  slow_ = slow;
}

void Control::Contact::moves_by(std::function<std::uint64_t()> count) {
  const std::lock_guard lock(mutex_);
  also_moves_ = std::move(count);
}

std::int64_t Control::Contact::step() const {
  const std::lock_guard lock(mutex_);
  return step_;
}

void Control::Contact::run() {
  auto beaten = Clock::now();
  while (!leaving_) {
    pollfd wait{.fd = socket_.file(), .events = POLLIN, .revents = 0};
    poll(&wait, 1, 20);
    if (is_lost_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      continue;
    }
    hear();
    if (Clock::now() - beaten < limits_.beat) continue;
    beaten = Clock::now();
    beat();
  }
}

void Control::Contact::hear() {
  const bool there = inbox_.read(socket_);
  Message message;
  while (inbox_.take(message)) {
    heard_ = Clock::now();
    if (message.kind == say::kLost || (message.kind == say::kCalls && end_)) {
      hear_end(message);
      if (is_lost_) return;
      continue;
    }
    if (message.kind == say::kBeat) continue;
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    changed_.notify_all();
  }
  // Nobody else tells what the ranks were doing: its line comes without.
  if (end_ && Clock::now() - end_at_ > kCallsOfAll)
    return lose(end_->fields.at(0), true, std::atoi(end_->fields.at(1).c_str()));
  if (!there) return lose(hub_name_ + " ended", false);
  if (Clock::now() - heard_ > limits_.silence)
    lose(hub_name_ + " has not been heard of for " + format_duration(limits_.silence.count()),
         false);
}

/// By this thread, whatever the main thread is at: launchers end all once one process is gone, some
/// within milliseconds.
void Control::Contact::say(const std::string& lines) {
  if (limits_.end.count() == 0) return;
  *told_ = true;
  [[maybe_unused]] const ssize_t said = write(error_->file(), lines.data(), lines.size());
}

// All ranks end; rank 0 prints why, and then what the others tell of their last calls.
void Control::Contact::hear_end(const Message& message) {
  if (message.kind == say::kCalls) {
    calls_ = message.fields.at(0);
    say(calls_);
    return lose(end_->fields.at(0), true, std::atoi(end_->fields.at(1).c_str()));
  }
  const bool calls = message.fields.at(2) == "1";
  if (calls) send({say::kCalls, recorder_.last_calls().fields()});
  if (!calls || ranks_.rank != 0)
    return lose(message.fields.at(0), true, std::atoi(message.fields.at(1).c_str()));
  say("invp: " + message.fields.at(0) + "\n");
  end_ = message;
  end_at_ = Clock::now();
}

void Control::Contact::beat() {
  Beat now;
  {
    const std::lock_guard lock(mutex_);
    now.step = step_;
    now.slow = slow_;
    now.what = phase_;
    if (also_moves_) now.progress = also_moves_();
  }
  now.calls = recorder_.count();
  now.in_call = recorder_.in_call();
  now.progress += progress_;
  if (now.in_call || now.what.empty()) now.what = recorder_.last();
  send({say::kBeat, now.fields()});
}

void Control::Contact::lose(const std::string& why, bool hub_is_there, int code) {
  // One line is enough: where the hub is gone, that of the next rank. It goes first.
  const bool speaks = ranks_.rank == (hub_is_there ? 0 : 1);
  if (speaks && !hub_is_there) say("invp: " + why + "\n");
  if (!speaks && limits_.end.count() > 0) std::this_thread::sleep_for(kAfterTheLine);
  {
    const std::lock_guard lock(mutex_);
    lost_ = why;
    code_ = code;
    speak_ = speaks;
    is_lost_ = true;
    changed_.notify_all();
  }
  if (limits_.end.count() > 0)
    end_at_latest(limits_.end, speak_ ? "invp: " + why + "\n" + calls_ : "", code, error_, told_);
  if (code != 2) leave_record();  // a run that is refused leaves nothing
}

void Control::Contact::leave_record() {
  if (folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::create_directories(folder_, ignored);
  std::string number = std::to_string(ranks_.rank);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  std::ofstream(folder_ / ("rank-" + number + ".txt")) << *lost_ << '\n'
                                                       << calls_ << recorder_.text();
}

void Control::Contact::throw_lost() {
  const bool speak = speak_ && !told_->exchange(true);
  throw RunLost(*lost_, speak, code_, calls_);
}

void Control::Contact::check() {
  if (!is_lost_) return;
  const std::lock_guard lock(mutex_);
  throw_lost();
}

Message Control::Contact::await(char kind, char other, Seconds deadline, const std::string& what) {
  const auto start = Clock::now();
  auto since = start;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto wanted = [&](const Message& m) { return m.kind == kind || m.kind == other; };
      const auto found = [&] { return std::find_if(messages_.begin(), messages_.end(), wanted); };
      changed_.wait_for(lock, limits_.beat, [&] { return lost_ || found() != messages_.end(); });
      if (const auto at = found(); at != messages_.end()) {
        Message message = std::move(*at);
        messages_.erase(at);
        return message;
      }
      if (lost_) throw_lost();
    }
    if (Clock::now() - since < deadline) continue;
    late(what, Clock::now() - start);
    since = Clock::now();
  }
}

void Control::Contact::late(const std::string& what, Seconds since) {
  beat();
  send({say::kLate, {what, format_duration(since.count()), std::to_string(since.count())}});
  const auto start = Clock::now();
  std::unique_lock lock(mutex_);
  const auto patience = [](const Message& m) { return m.kind == say::kPatience; };
  // On a machine with much to do the hub needs its time; a hub that is gone is noticed meanwhile.
  changed_.wait_for(lock, std::max(4 * limits_.beat, 2 * limits_.silence), [&] {
    return lost_ || std::any_of(messages_.begin(), messages_.end(), patience);
  });
  if (lost_) throw_lost();
  if (std::erase_if(messages_, patience) > 0) return;
  throw RunLost(message(hub_name_, " does not answer, ", what, " has waited for ",
                        format_duration(since.count()), " and ",
                        format_duration(Seconds(Clock::now() - start).count())),
                ranks_.rank <= 1);
}

}  // namespace invp
