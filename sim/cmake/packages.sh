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

build_packages() {
  if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    # Not a Debian: let CMake find what is there, and say what is needed where it is not.
    echo "nvmesim: no apt-get here; needed: a C++20 compiler, CMake 3.25, Ninja, pkg-config," \
      "SystemC 2.3.4 or newer, Boost 1.81 or newer (json, iostreams, program_options), fmt," \
      "and for the tests Catch2, valgrind, python3 with jsonschema" >&2
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

# The wall-clock cores to build with: all of them, or one per 2 GiB of memory.
build_jobs() {
  local cores memory_gib
  cores=$(nproc)
  memory_gib=$(awk '/MemAvailable/ {print int($2 / 1048576 / 2)}' /proc/meminfo 2>/dev/null || echo 1)
  [ "${memory_gib:-1}" -ge 1 ] || memory_gib=1
  echo $((cores < memory_gib ? cores : memory_gib))
}
