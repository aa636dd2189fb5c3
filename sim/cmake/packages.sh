# Sourced by sim/run and tests/run: installs the Debian packages that are missing.
# need_packages PURPOSE PACKAGE...  returns when all are there, or names what is missing and exits 2.

boost_packages() {
  # Debian 12 has Boost 1.81 under versioned names beside its default 1.74.
  if apt-cache show libboost1.81-dev >/dev/null 2>&1 || dpkg -s libboost1.81-dev >/dev/null 2>&1; then
    echo libboost1.81-dev libboost-json1.81-dev libboost-iostreams1.81-dev \
      libboost-program-options1.81-dev
  else
    echo libboost-dev libboost-json-dev libboost-iostreams-dev libboost-program-options-dev
  fi
}

installed() {
  dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'
}

need_packages() {
  local missing=() package
  for package in "$@"; do
    installed "$package" || missing+=("$package")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "nvmesim: missing packages: ${missing[*]}; install them as root and run again" >&2
      exit 2
    fi
    as_root=(sudo)
  fi
  echo "installing: ${missing[*]}" >&2
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
    --no-install-recommends "${missing[@]}" >/dev/null || {
    echo "nvmesim: could not install: ${missing[*]}" >&2
    exit 2
  }
}

# No apt-get here: names what is missing of what the packages would bring, and exits 2.
need_elsewhere() {
  local missing=() tool header
  for tool in c++ cmake ninja pkg-config; do
    command -v "$tool" >/dev/null || missing+=("$tool")
  done
  pkg-config --atleast-version=2.3.4 systemc 2>/dev/null || missing+=("SystemC 2.3.4 or newer")
  for header in boost/json.hpp boost/iostreams/filter/gzip.hpp boost/program_options.hpp \
    boost/unordered/unordered_flat_map.hpp fmt/format.h; do
    c++ -x c++ -std=c++20 -E -include "$header" /dev/null >/dev/null 2>&1 || missing+=("<$header>")
  done
  for tool in "$@"; do
    case $tool in
      catch2)
        c++ -x c++ -E -include catch2/catch_all.hpp /dev/null >/dev/null 2>&1 ||
          c++ -x c++ -E -include catch2/catch.hpp /dev/null >/dev/null 2>&1 || missing+=(Catch2) ;;
      python3-jsonschema)
        /usr/bin/python3 -c 'import jsonschema' 2>/dev/null || missing+=("python3 with jsonschema") ;;
      *) command -v "$tool" >/dev/null || missing+=("$tool") ;;
    esac
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local list
  list=$(printf ', %s' "${missing[@]}")
  echo "nvmesim: missing: ${list:2}; install them and run again" >&2
  exit 2
}

build_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    need_elsewhere "$@"
    return 0
  fi
  # The lists are needed to tell which Boost this release has, and to install anything.
  if [ -z "$(find /var/lib/apt/lists -maxdepth 1 -name '*_Packages*' -print -quit 2>/dev/null)" ]; then
    if [ "$(id -u)" -eq 0 ]; then
      apt-get update -qq
    elif command -v sudo >/dev/null; then
      sudo apt-get update -qq
    fi
  fi
  # shellcheck disable=SC2046
  need_packages g++ cmake ninja-build pkg-config libsystemc-dev libfmt-dev $(boost_packages) "$@"
}

# What 'nvmesim linux' builds its kernel with, from Debian's source of it, and the tool that people
# will run under it first. The newest source of the release if there is no 6.1.
linux_packages() {
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
  local source=linux-source-6.1
  if ! apt-cache show "$source" >/dev/null 2>&1; then source=linux-source; fi
  need_packages "$source" make gcc flex bison bc xz-utils nvme-cli e2fsprogs
}

# The wall-clock cores to build with: all of them, or one per 2 GiB of memory.
build_jobs() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/MemAvailable/ {print int($2 / 1048576 / 2)}' /proc/meminfo 2>/dev/null || echo 1)
  [ "${memory_gib:-1}" -ge 1 ] || memory_gib=1
  echo $((cores < memory_gib ? cores : memory_gib))
}
