# Sourced by steps.sh: which C++ compiler is used. CXX names it. Without CXX it is c++ if that is new enough (cmake/compilers.txt),
# else the newest that is installed.

# compiler_name PROGRAM: "GCC 12.2.0" or "Clang 19.1.7"; fails for other programs.
compiler_name() {
  local text
  text=$(LC_ALL=C "$1" --version 2>/dev/null) || return
  case $text in
    *clang*) printf 'Clang %s' "$(LC_ALL=C "$1" -dumpversion)" ;;
    *"Free Software Foundation"*) printf 'GCC %s' "$(LC_ALL=C "$1" -dumpfullversion)" ;;
    *) return 1 ;;
  esac
}

# new_enough "GCC 12.2.0"
new_enough() {
  local kind=${1% *} version=${1#* } oldest
  oldest=$(awk -v kind="$kind" '$1 == kind { print $2 }' cmake/compilers.txt)
  [[ -n $oldest ]] && ((${version%%.*} >= oldest))
}

# compiles PROGRAM [FLAG...]: whether it links C++20 with OpenMP. Clang can be installed without OpenMP, GCC without its library.
compiles() {
  local folder status=0
  folder=$(mktemp -d) || return
  printf '#include <omp.h>\n#include <span>\n#include <string>\nint main() { return std::string("a").size() - omp_get_num_threads(); }\n' \
    >"$folder/try.cpp"
  "$1" -std=c++20 -fopenmp "${@:2}" "$folder/try.cpp" -o "$folder/try" >/dev/null 2>&1 || status=1
  rm -rf "$folder"
  return "$status"
}

usable() {
  local name
  name=$(compiler_name "$1") && new_enough "$name" && compiles "$@"
}

# usable_compilers [FLAG...]: those installed, the oldest first. Their age is counted in half years since 2000: GCC has one release per
# year (GCC 12 is 44), Clang two (Clang 16 is 46).
usable_compilers() {
  local program name major age
  compgen -c | grep -E '^(g|clang)\+\+(-[0-9]+)?$' | sort -u | while read -r program; do
    usable "$program" "$@" || continue
    name=$(compiler_name "$program")
    major=${name#* } && major=${major%%.*}
    [[ $name == GCC* ]] && age=$((2 * major + 20)) || age=$((major + 30))
    printf '%d %s\n' "$age" "$program"
  done | sort -n -k1,1 -s | awk '{ print $2 }'
}

# Sets CXX to the compiler for a folder that was not configured yet. Ends the script if there is none.
choose_compiler() {
  local name oldest
  oldest=$(awk '/^[^#]/ { printf "%s%s %s", sep, $1, $2; sep = " or " }' cmake/compilers.txt)
  if [[ -n ${CXX:-} ]]; then
    name=$(compiler_name "$CXX") || give_up "CXX=$CXX is no GCC or Clang that runs here: name one, or unset CXX."
    new_enough "$name" || give_up "CXX=$CXX is $name, and $oldest is needed: name a newer one, or unset CXX."
    compiles "$CXX" || give_up "CXX=$CXX ($name) links no C++20 program with OpenMP here: install $(openmp_package "$name")."
    return
  fi
  for CXX in c++ g++ clang++ $(usable_compilers | tac); do
    usable "$CXX" && return
  done
  unset CXX
  name=$(compiler_name c++ || compiler_name g++ || compiler_name clang++) ||
    give_up "There is no C++ compiler here: install $oldest."
  new_enough "$name" && give_up "$name links no C++20 program with OpenMP here: install $(openmp_package "$name")."
  give_up "$name is too old: install $oldest or newer; it is then found by itself, or by CXX=g++-12 ${0##*/}."
}

openmp_package() {
  local version=${1#* }
  [[ $1 == Clang* ]] && printf 'libomp-%s-dev' "${version%%.*}" || printf 'g++-%s' "${version%%.*}"
}
