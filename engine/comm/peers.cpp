#include "engine/comm/peers.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

using Clock = std::chrono::steady_clock;

std::int64_t number(const std::string& text) {
  std::int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The value of a fact; none where it was not given.
std::optional<std::string> fact(const std::vector<std::string>& facts, const std::string& name) {
  for (std::size_t i = 0; i + 1 < facts.size(); i += 2)
    if (facts[i] == name) return facts[i + 1];
  return std::nullopt;
}

std::string in_words(const std::optional<std::string>& value) {
  return !value ? "not there" : value->empty() ? "empty" : *value;
}

}  // namespace

std::vector<std::string> Beat::fields() const {
  return {std::to_string(step),         std::to_string(calls),    std::to_string(in_call ? 1 : 0),
          std::to_string(slow ? 1 : 0), std::to_string(progress), what};
}

void Beat::take(const std::vector<std::string>& fields) {
  if (fields.size() != 6 || fields == this->fields()) return;
  step = number(fields[0]);
  calls = static_cast<std::uint64_t>(number(fields[1]));
  in_call = fields[2] == "1";
  slow = fields[3] == "1";
  progress = static_cast<std::uint64_t>(number(fields[4]));
  what = fields[5];
  moved = Clock::now();
}

void Beat::at_step(const std::string& text) {
  step = number(text);
  if (what.empty()) what = "this step";
}

std::string Peer::where() const {
  return message(" at step ", beat.step, beat.what.empty() ? "" : ", in ", beat.what);
}

Peer* Peers::find(const std::string& rank) {
  const auto found =
      std::find_if(begin(), end(), [&](const Peer& p) { return std::to_string(p.rank) == rank; });
  return found == end() ? nullptr : &*found;
}

bool Peers::all_came() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.came; });
}
bool Peers::all_left() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.left; });
}
bool Peers::all_gone() const {
  return std::none_of(peers_.begin(), peers_.end(), [](const Peer& p) { return p.socket.open(); });
}
bool Peers::all_gave(Given Peer::*what) const {
  return std::all_of(peers_.begin(), peers_.end(), [&](const Peer& p) { return p.*what; });
}

std::string Peers::name(const Peer& peer) const {
  return message("rank ", peer.rank, " (", peer.host, ", pid ", peer.pid, ")");
}

std::string Peers::missing() const {
  std::vector<int> ranks;
  for (const Peer& peer : peers_)
    if (!peer.came) ranks.push_back(peer.rank);
  return ranks_in_words(ranks);
}

std::string Peers::difference() {
  const std::vector<std::string> right = *peers_[0].facts;
  std::string found;
  for (Peer& peer : peers_) {
    const std::vector<std::string>& given = *peer.facts;
    const auto compare = [&](const std::string& name) {
      const auto mine = fact(given, name), zeros = fact(right, name);
      if (!found.empty() || mine == zeros) return;
      found = message("rank ", peer.rank, " (", peer.host, "): ", name, " is ", in_words(mine),
                      ", rank 0's is ", in_words(zeros));
    };
    for (std::size_t i = 0; i + 1 < right.size(); i += 2) compare(right[i]);
    for (std::size_t i = 0; i + 1 < given.size(); i += 2) compare(given[i]);
  }
  for (Peer& peer : peers_) peer.facts.reset();
  return found;
}

Peers::Totals Peers::totals() {
  // step, images, bad, plain, stop, save; a ticket has the seconds waited for data, too
  Totals totals{"", std::vector<std::string>(6)};
  std::int64_t images = 0, bad = 0, stop = 0;
  bool plain = true, save = false;
  const std::string step = (*peers_[0].ticket)[0];
  for (Peer& peer : peers_) {
    const std::vector<std::string> ticket = *std::exchange(peer.ticket, std::nullopt);
    if (ticket.size() != 7 || ticket[0] != step) {
      totals.difference = message(name(peer), " is at step ", ticket[0], ", rank 0 at step ", step);
      return totals;
    }
    images += number(ticket[1]);
    bad += number(ticket[2]);
    plain = plain && ticket[3] == "1";
    if (stop == 0) stop = number(ticket[4]);
    save = save || ticket[5] == "1";
  }
  totals.fields = {step,
                   std::to_string(images),
                   std::to_string(bad),
                   plain ? "1" : "0",
                   std::to_string(stop),
                   save ? "1" : "0"};
  return totals;
}

std::string Peers::who_is_slow() {
  constexpr int kRounds = 100;
  constexpr double kWorthANote = 0.1;  // of the time
  if (peers_.size() < 2) return {};
  std::vector<const Peer*> order;
  for (const Peer& peer : peers_) order.push_back(&peer);
  std::sort(order.begin(), order.end(),
            [](const Peer* a, const Peer* b) { return a->ticket_at > b->ticket_at; });
  const Peer& last = *order[0];
  slowness_.waited.resize(peers_.size());
  slowness_.data.resize(peers_.size());
  // The first round begins the time.
  if (slowness_.rounds++ == 0) {
    slowness_.since = last.ticket_at;
  } else {
    const Seconds gap = last.ticket_at - order[1]->ticket_at;
    const Seconds data{last.ticket->size() < 7 ? 0 : std::atof(last.ticket->at(6).c_str())};
    slowness_.waited[static_cast<std::size_t>(last.rank)] += gap;
    slowness_.data[static_cast<std::size_t>(last.rank)] += std::min(gap, data);
  }
  if (slowness_.rounds <= kRounds) return {};
  const auto most = std::max_element(slowness_.waited.begin(), slowness_.waited.end());
  const double share = *most / Seconds(last.ticket_at - slowness_.since);
  const Peer& slow = peers_[static_cast<std::size_t>(most - slowness_.waited.begin())];
  const bool data = 2 * slowness_.data[static_cast<std::size_t>(slow.rank)] > *most;
  slowness_ = {};
  if (share < kWorthANote) return {};
  return message("rank ", slow.rank, " (", slow.host, ") keeps the others waiting ",
                 formatted("%.0f %%", 100 * share), " of the time",
                 data ? " (data)" : " (computing)");
}

std::string Peers::why_failed() const {
  const auto failed = [](const Peer& p) { return p.failure.has_value(); };
  const auto first = std::find_if(peers_.begin(), peers_.end(), failed);
  const bool all = std::all_of(peers_.begin(), peers_.end(), [&](const Peer& p) {
    return p.failure.has_value() && p.failure->at(0) == first->failure->at(0);
  });
  return (all ? "" : name(*first) + ": ") + first->failure->at(0);
}

std::string Peers::last_calls() const {
  std::vector<CallsOfRank> all;
  for (const Peer& peer : peers_) {
    all.push_back({.rank = peer.rank, .told = peer.last_calls.value_or(LastCalls{})});
    if (!peer.last_calls) all.back().heard = peer.where();
  }
  return side_by_side(all);
}

std::string Peers::late_for(const Peer& waiting, Seconds slow) const {
  const auto now = Clock::now();
  std::vector<std::string> late;
  for (const Peer& peer : peers_) {
    const Beat& beat = peer.beat;
    const bool came =
        beat.calls > waiting.beat.calls || (beat.calls == waiting.beat.calls && beat.in_call);
    if (came) continue;
    if (!peer.left && beat.slow && now - beat.moved < slow) return {};
    late.push_back(name(peer) + (peer.left ? " has ended" : peer.where()));
  }
  if (!late.empty())
    return message(joined(late), ": ", name(waiting), " has waited for ", waiting.waited, " in ",
                   waiting.complaint);
  for (const Peer& peer : peers_) {
    if (peer.beat.calls == waiting.beat.calls && peer.beat.what != waiting.beat.what)
      return message(name(peer), " is in ", peer.beat.what, ", ", name(waiting), " in ",
                     waiting.beat.what);
  }
  return message("all ranks are in ", waiting.complaint,
                 ", which does not end: does the network work?");
}

}  // namespace invp
