#include "tools/stop_signal.h"

#include <csignal>

namespace invp {

namespace {

volatile std::sig_atomic_t noted = 0;

void note(int signal) {
  noted = signal;
  // The next one does what it always does.
  std::signal(signal, SIG_DFL);
}

}  // namespace

StopSignal::StopSignal() {
  noted = 0;
  std::signal(SIGINT, note);
  std::signal(SIGTERM, note);
}

StopSignal::~StopSignal() {
  std::signal(SIGINT, SIG_DFL);
  std::signal(SIGTERM, SIG_DFL);
}

int StopSignal::received() {
  return noted;
}

}  // namespace invp
