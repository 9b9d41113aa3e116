# Sourced by the other scripts in the project's folder. Runs steps: says what is done and how long it took, and shows a command's output
# only if it fails. Builds presets.
source scripts/compilers.sh
source scripts/causes.sh

INVP_LOGS=.cache/logs

# give_up TEXT: prints one line that says what to do, and ends the script.
give_up() {
  printf '%s\n' "$*" >&2
  exit 1
}

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
    cause_of "$log" || tail -n 40 "$log" | sed 's/^/  | /'
    printf 'All of its output: %s\n' "$log"
    exit "$status"
  fi
  printf ' %4d s\n' $((SECONDS - start))
}

# CMake, or the linker's -Wl, cannot take a path with one of these characters. Such a tree is built through a link to it.
odd_path() { [[ $1 == *[\"\;\,\\\|\[\]$'\n']* ]]; }
leave_odd_path() {
  odd_path "$PWD" || return 0
  local folder link
  folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/invp/trees
  odd_path "$folder" && folder=/tmp/invp-trees-$(id -u)
  link=$folder/$(printf '%s' "$PWD" | cksum | tr ' ' '-')
  mkdir -p "$folder" && [[ -O $folder ]] && ln -sfn "$PWD" "$link" ||
    give_up "CMake cannot build below $PWD, and no link to it can be made in $folder: move the project to a plainer path."
  cd "$link"
}
leave_odd_path

# How many compilers run at once: one per core, and at least 0.6 GB of memory for each (GCC 12 was seen to take up to 0.43).
parallel_jobs() {
  local kilobytes
  kilobytes=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo 2>/dev/null || true)
  local by_memory=$((${kilobytes:-100000000} / 600000)) cores
  cores=$(nproc)
  ((by_memory >= 1)) || by_memory=1
  echo "${CMAKE_BUILD_PARALLEL_LEVEL:-$((cores < by_memory ? cores : by_memory))}"
}

build_folder() {
  [[ $1 == release || $1 == ci ]] && echo build || echo "build/$1"
}

# of_cache FOLDER NAME: a value of the folder's CMakeCache.txt.
of_cache() { sed -n "s/^$2:[A-Z]*=//p" "$1/CMakeCache.txt" 2>/dev/null; }

# Chooses the compiler of a folder and exports it as CXX. Removes a configuration that cannot be used any more.
prepare_folder() {
  local folder=$1 record before program name why=
  if [[ -e $folder/CMakeCache.txt ]]; then
    program=$(of_cache "$folder" CMAKE_CXX_COMPILER)
    # One file per version of CMake that configured the folder; the latest tells.
    record=$(ls -t "$folder"/CMakeFiles/*/CMakeCXXCompiler.cmake 2>/dev/null | head -n 1 || true)
    before=$(sed -n -e 's/^set(CMAKE_CXX_COMPILER_ID "GNU")/GCC/p' -e 's/^set(CMAKE_CXX_COMPILER_ID "\(.*\)")/\1/p' \
      -e 's/^set(CMAKE_CXX_COMPILER_VERSION "\(.*\)")/\1/p' "${record:-/dev/null}" | xargs)
    name=$(compiler_name "$program" || true)
    if [[ $(of_cache "$folder" CMAKE_HOME_DIRECTORY) != "$PWD" ]]; then
      why="was made for $(of_cache "$folder" CMAKE_HOME_DIRECTORY)"
    elif [[ $(of_cache "$folder" CMAKE_GENERATOR) != Ninja ]]; then
      why="was made for $(of_cache "$folder" CMAKE_GENERATOR), not for Ninja"
    elif [[ -z $before ]]; then
      why="was not configured to its end"
    elif [[ $name != "$before" ]]; then
      why="was made with $before, and $program is now ${name:-gone}"
    elif [[ -n ${CXX:-} && $(readlink -f "$(command -v "$CXX")") != $(readlink -f "$program") ]]; then
      why="was made with $name, and CXX asks for $CXX"
    elif ! usable "$program"; then
      why="was made with $name, which cannot build this"
    fi
    [[ -n $why ]] || CXX=$program
  fi
  choose_compiler
  export CXX
  if [[ -n $why ]]; then
    echo "$folder/ $why: it is built afresh."
    rm -rf "$folder"/{CMakeCache.txt,CMakeFiles,build.ninja,.ninja_log,.ninja_deps}
  fi
}

# The path of ccache, if it is there and can write its cache.
launcher() {
  local folder
  command -v ccache >/dev/null && folder=$(ccache --get-config cache_dir 2>/dev/null) && mkdir -p "$folder" 2>/dev/null &&
    [[ -w $folder ]] && command -v ccache
}
configure() { cmake --preset "$1" -DCMAKE_CXX_COMPILER="$(command -v "$CXX")" -DCMAKE_CXX_COMPILER_LAUNCHER="$(launcher || true)"; }

# Configures and builds a preset: build PRESET [TARGET...]
build() {
  local preset=$1 chosen=${CXX:-}
  shift
  prepare_folder "$(build_folder "$preset")"
  step "Configuring ($preset, $(compiler_name "$CXX"))" configure "$preset"
  step "Building ($preset${*:+: $*})" cmake --build --preset "$preset" --parallel "$(parallel_jobs)" ${*:+--target "$@"}
  CXX=$chosen
  [[ -n $chosen ]] || unset CXX
}
