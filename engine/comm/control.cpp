#include "engine/comm/control.h"

#include <csignal>
#include <exception>
#include <random>
#include <sstream>

#include "engine/comm/contact.h"
#include "engine/core/stop.h"

namespace invp {

namespace {

const char* flag(bool on) {
  return on ? "1" : "0";
}

}  // namespace

std::string random_token() {
  std::random_device random;
  std::ostringstream text;
  for (int word = 0; word < 4; ++word) text << std::hex << random();
  return text.str();
}

MeetingPlace meet_by(Communicator& ranks) {
  constexpr std::int64_t kLongest = 4096;
  MeetingPlace place;
  const Tensor text = Tensor::zeros({kLongest}, DType::kU8);
  auto* const bytes = reinterpret_cast<char*>(text.data<std::uint8_t>());
  if (ranks.ranks().rank == 0) {
    place.listening = listen_at({0});
    std::string words = message(port_of(place.listening), ' ', random_token());
    for (const std::string& address : own_addresses())
      if (words.size() + address.size() + 2 < kLongest) words += ' ' + address;
    words.copy(bytes, words.size());
  }
  ranks.broadcast("where to meet", text, 0);
  std::istringstream words{std::string(bytes)};
  words >> place.ports.emplace_back() >> place.token;
  for (std::string address; words >> address;) place.hosts.push_back(address);
  return place;
}

MeetingPlace meet_at(const Launch& launch) {
  const bool first = launch.ranks.rank == 0;
  MeetingPlace place{.hosts = {launch.host}, .ports = launch.ports, .token = launch.name};
  if (first && launch.socket >= 0) place.listening = Socket(launch.socket);
  if (first && launch.socket < 0) place.listening = listen_at(launch.ports);
  if (first) {
    place.hosts = {"127.0.0.1"};
    place.ports = {port_of(place.listening)};
  }
  return place;
}

Control::Control(const Ranks& ranks, MeetingPlace place, const Limits& limits,
                 std::filesystem::path folder)
    : contact_(std::make_unique<Contact>(ranks, std::move(place), limits, std::move(folder))) {
  defer_stops(true);
}

Control::~Control() {
  const bool failed = std::uncaught_exceptions() > 0 && stop_signal() == 0;
  if (failed) contact_->send({say::kFailed, {message("gave up at step ", contact_->step()), "1"}});
  contact_.reset();
  defer_stops(false);
}

void Control::agree(const std::vector<std::pair<std::string, std::string>>& facts) {
  Message mine{say::kFacts, {}};
  for (const auto& [name, value] : facts) {
    mine.fields.push_back(name);
    mine.fields.push_back(value);
  }
  const CollectiveCall call{.operation = "compare", .name = "settings"};
  entered(call);
  contact_->send(mine);
  const Message answer =
      contact_->await(say::kAgreed, say::kRefused, contact_->limits().step, "compare settings");
  left(call);
  if (answer.kind == say::kRefused) throw Refused(answer.fields.at(0));
}

std::string Control::share(const std::string& of_first) {
  const bool first = contact_->ranks().rank == 0;
  contact_->send({say::kShare, {first ? of_first : ""}});
  return contact_->await(say::kShare, say::kShare, contact_->limits().rendezvous, "share")
      .fields.at(0);
}

Ticket Control::exchange(const Ticket& mine) {
  const CollectiveCall call{.operation = "exchange", .name = "tickets"};
  contact_->at("", mine.step, false);
  entered(call);
  const int wish = wished_stop();
  const int stop = wish != 0 ? wish : mine.stop ? SIGTERM : 0;
  contact_->send(
      {say::kTicket,
       {std::to_string(mine.step), std::to_string(mine.images), std::to_string(mine.bad),
        flag(mine.plain), std::to_string(stop), flag(mine.save), std::to_string(mine.data_wait)}});
  const Message answer =
      contact_->await(say::kTicket, say::kTicket, contact_->limits().step, "exchange tickets");
  left(call);
  const std::vector<std::string>& fields = answer.fields;
  const int signal = std::stoi(fields.at(4));
  if (signal != 0) grant_stop(signal);
  return {.step = mine.step,
          .images = std::stoll(fields.at(1)),
          .bad = std::stoll(fields.at(2)),
          .plain = fields.at(3) == "1",
          .stop = signal != 0,
          .save = fields.at(5) == "1",
          .note = fields.at(6)};
}

void Control::entering(const char* phase, std::int64_t step, bool slow) {
  contact_->at(phase, step, slow);
}

void Control::progress() {
  contact_->moved_on();
}

void Control::progress_by(std::function<std::uint64_t()> count) {
  contact_->moves_by(std::move(count));
}

void Control::abort(const std::string& why, int code) {
  contact_->send({say::kFailed, {why, std::to_string(code)}});
  contact_->await(say::kLost, say::kLost, contact_->limits().silence, "abort");
  throw RunLost(why, true, code);
}

void Control::entered(const CollectiveCall& call) {
  contact_->check();
  contact_->recorder().entered(call, contact_->step());
  complain_after_ = contact_->limits().step;
}

void Control::left(const CollectiveCall& /*call*/) {
  contact_->recorder().left();
}

void Control::waiting(const CollectiveCall& call, Seconds since) {
  contact_->check();
  if (since < complain_after_) return;
  contact_->late(message(call.operation, " ", call.name), since);
  complain_after_ = since + contact_->limits().step;
}

}  // namespace invp
