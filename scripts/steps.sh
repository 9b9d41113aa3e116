# Sourced by the other scripts: says what happens, how long it took, and shows a command's output only when it fails.

INVP_LOGS=.cache/logs

# step TITLE COMMAND...
step() {
  local title=$1 start=$SECONDS status=0 log
  shift
  mkdir -p "$INVP_LOGS"
  log=$INVP_LOGS/$(printf '%s' "$title" | tr -cs 'A-Za-z0-9' '-').log
  printf '%-52s' "$title"
  "$@" >"$log" 2>&1 || status=$?
  if ((status != 0)); then
    printf ' failed after %d s\n' $((SECONDS - start))
    tail -n 40 "$log" | sed 's/^/  | /'
    printf 'All of its output: %s\n' "$log"
    exit "$status"
  fi
  printf ' %4d s\n' $((SECONDS - start))
}

# Configures and builds a preset: build PRESET [TARGET...]
configure() { cmake --preset "$1" -DCMAKE_CXX_COMPILER_LAUNCHER="$(command -v ccache || true)"; }
build() {
  local preset=$1
  shift
  step "Configuring ($preset)" configure "$preset"
  step "Building ($preset${*:+: $*})" cmake --build --preset "$preset" --parallel "$(nproc)" ${*:+--target "$@"}
}
