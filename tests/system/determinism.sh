#!/usr/bin/env bash
# The same input gives the same bytes: run twice; from builds of gcc and clang, optimised, not
# optimised, under sanitizers; without AVX2 and FMA; with channels constructed in reverse; with the
# scheduler's quantum at 0, 1 us and 1 s; with a foreign memory as host memory.
#   determinism.sh NVMESIM VARIANT
set -uo pipefail
release=$1
variant=$2
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export SYSTEMC_DISABLE_COPYRIGHT_MESSAGE=1
passed=0
failed=0

cat >"$out/zipf.fio" <<'JOB'
[global]
size=64m
bs=4k
direct=1
ioengine=libaio
random_distribution=zipf:1.1
[mixed]
rw=randrw
rwmixread=60
iodepth=16
number_ios=4000
JOB
jobs=(
  "replay $root/traces/devwork.blktrace.txt.gz --verify"
  "run $out/zipf.fio --drive 970pro --verify"
  "run $out/zipf.fio --drive p4800x"
)

# same NAME COMMAND...: runs every job with the command and compares with the reference.
same() {
  local name=$1 i
  shift
  for i in "${!jobs[@]}"; do
    # shellcheck disable=SC2086
    if ! "$@" ${jobs[$i]} ${extra:-} --no-summary --json "$out/$name.$i" >/dev/null 2>"$out/errors"; then
      echo "FAILED: $name: ${jobs[$i]}: $(head -1 "$out/errors")"
      failed=$((failed + 1))
    elif ! cmp -s "$out/reference.$i" "$out/$name.$i"; then
      echo "FAILED: $name: ${jobs[$i]}: $(diff "$out/reference.$i" "$out/$name.$i" | head -3 | tr '\n' ' ')"
      failed=$((failed + 1))
    else
      passed=$((passed + 1))
    fi
  done
}

# build NAME PRESET OPTIONS...: prints the path of another nvmesim.
build() {
  local directory=$root/build/determinism-$1
  shift
  cmake -S "$root" -B "$directory" -G Ninja -DNVMESIM_TESTS=OFF -DNVMESIM_UNITY=ON "$@" >"$out/build.log" 2>&1 &&
    cmake --build "$directory" --target nvmesim >>"$out/build.log" 2>&1 || {
    tail -5 "$out/build.log" >&2
    return 1
  }
  echo "$directory/nvmesim"
}

for i in "${!jobs[@]}"; do
  # shellcheck disable=SC2086
  "$release" ${jobs[$i]} --no-summary --json "$out/reference.$i" >/dev/null || exit 1
done
same twice "$release"
extra='--set simulation.quantum_ns=0' same quantum-0 "$release"
extra='--set simulation.quantum_ns=1000' same quantum-1us "$release"
extra='--set simulation.quantum_ns=1000000000' same quantum-1s "$release"
same reverse "$variant" reverse
same foreign "$variant" foreign
extra='--set simulation.quantum_ns=0' same foreign-quantum-0 "$variant" foreign
GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX2,-FMA same no-avx2 "$release"
if sanitized=$(build gcc-asan -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O1" \
    -DNVMESIM_SANITIZE=address,undefined); then
  same gcc-asan "$sanitized"
else
  failed=$((failed + 1))
fi
if unoptimised=$(build clang-O0 -DCMAKE_BUILD_TYPE=None "-DCMAKE_CXX_FLAGS=-O0" \
    -DCMAKE_CXX_COMPILER=clang++); then
  same clang-O0 "$unoptimised"
else
  failed=$((failed + 1))
fi

# The seed: another one changes a random job, and of a replay only its own field.
"$release" ${jobs[0]} --seed 2 --no-summary --json "$out/seed.0" >/dev/null 2>&1
changed=$(diff "$out/reference.0" "$out/seed.0" | grep '^[<>]')
if [ "$(wc -l <<<"$changed")" -eq 2 ] && [ "$(grep -c '"seed"' <<<"$changed")" -eq 2 ]; then
  passed=$((passed + 1))
else
  echo "FAILED: --seed changed a replay: $changed"
  failed=$((failed + 1))
fi
"$release" ${jobs[1]} --seed 2 --no-summary --json "$out/seed.1" >/dev/null 2>&1
if [ "$(diff "$out/reference.1" "$out/seed.1" | grep -c '^[<>]')" -gt 10 ]; then
  passed=$((passed + 1))
else
  echo "FAILED: --seed did not change a random job"
  failed=$((failed + 1))
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
