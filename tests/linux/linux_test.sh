#!/usr/bin/env bash
# One test of `nvmesim linux` with the real kernel. Usage: linux_test.sh NVMESIM READS NAME.
# Exit status 77: there is no kernel, and none can be built.
set -euo pipefail
nvmesim=$1 reads=$2 name=$3
means=()
if [ "${NVMESIM_LINUX_TESTS:-}" = off ]; then
  echo "SKIP: NVMESIM_LINUX_TESTS is off"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

linux() { "$nvmesim" linux --drive p4800x "$@" </dev/null; }
fail() {
  echo "FAILED: $*"
  exit 1
}

if [ "$name" = prepare ]; then
  status=0
  "$nvmesim" linux --prepare 2>"$work/says" || status=$?
  tail -n 3 "$work/says"
  if grep -qE 'no source of the kernel|to build the kernel install' "$work/says"; then
    echo "SKIP: no Linux kernel, and nothing to build it from"
    exit 77
  fi
  exit "$status"
fi
"$nvmesim" linux --prepare >/dev/null 2>&1 || {
  echo "SKIP: no Linux kernel"
  exit 77
}

# Processes of a run, and its directory: all of this test's runs are below $work.
leftovers() {
  find /proc -maxdepth 2 -name cwd -lname "$work/run/nvmesim-*" 2>/dev/null || true
  ls "$work/run"
}
wait_until() {
  for _ in $(seq 100); do
    ! "$@" || return 0
    sleep 0.1
  done
  fail "in vain: $*"
}
kernel_runs() { [ -n "$(pgrep -f "$1" -P "$(pgrep -P "$2" nvmesim-keeper)")" ]; }
all_gone() { [ -z "$(leftovers)" ]; }

case $name in
  files)
    # A file system of the kernel's own, with real files, read back after an unmount.
    linux -- sh -c 'mkfs.ext4 -q /dev/nvme0n1 4G && mount /dev/nvme0n1 /mnt &&
      cp -r /usr/include/linux /mnt && umount /mnt && mount /dev/nvme0n1 /mnt &&
      diff -r /usr/include/linux /mnt/linux && echo same' >out
    [ "$(cat out)" = same ] || fail "the files differ"
    # The machine's own files can be changed in there, and are not.
    linux -- sh -c 'echo changed > /etc/hostname; cat /etc/hostname' >out
    [ "$(cat out)" = changed ] || fail "the guest could not change a file"
    ! grep -qx changed /etc/hostname || fail "the machine's file was changed"
    ;;
  determinism)
    for run in 1 2; do
      linux --dmesg --doorbells --trace-wire "wire$run" -- sh -c \
        'mkfs.ext4 -q /dev/nvme0n1 1G && mount /dev/nvme0n1 /mnt && cp /bin/ls /mnt && sync' \
        >"out$run" 2>"console$run"
    done
    [ -s wire1 ] && cmp wire1 wire2 || fail "two runs differ on the wire"
    [ -s console1 ] && cmp console1 console2 || fail "two runs differ on the console"
    linux --seed 2 --trace-wire wire3 -- true
    linux --trace-wire wire4 -- true
    ! cmp -s wire3 wire4 || fail "another seed changes nothing"
    ;;
  latency)
    # What the guest's clock says of a read is what the wire says from the doorbell to the interrupt,
    # two clock reads of 256 ns and less than 1 us for what lies between; and 10 us more in the
    # device are 10 us more there.
    for ns in 0 10000; do
      linux --set device.controller.pipeline.read_latency_ns=$ns --doorbells --trace-wire wire -- \
        "$reads" /dev/nvme0n1 1000 >guest
      read -r _ mean _ <guest
      wire=$(awk '/SQ1TDBL/ {at = $1} /MSI-X vec 1/ && at {sum += $1 - at; n++; at = 0}
        END {printf "%d", sum / n}' wire)
      echo "device $ns ns: wire $wire ns, guest $mean ns"
      between=$((mean - wire - 512))
      [ $between -ge 0 ] && [ $between -lt 1000 ] || fail "$between ns are unaccounted for"
      means+=("$mean")
    done
    more=$((means[1] - means[0]))
    [ $more -gt 9900 ] && [ $more -lt 10100 ] || fail "10 us in the device made $more ns"
    ;;
  break)
    # A debugger is waited for at a register access, simulated time with it.
    "$nvmesim" linux --drive p4800x --break 'reg CC write' -- true </dev/null 2>err &
    pid=$!
    wait_until grep -q 'gdb -p' err
    kernel=$(sed -n 's/^ *gdb -p \([0-9]*\).*/\1/p' err)
    sleep 0.5
    kill -0 "$kernel" || fail "the kernel did not wait"
    grep -q 'reg CC write at [0-9]* ns' err || fail "it does not say where it is: $(cat err)"
    kill -TERM $pid
    got=0
    wait $pid || got=$?
    [ $got = 143 ] || fail "ended while held: $got"
    ;;
  exit_status)
    for status in 0 1 7 255; do
      got=0
      linux -- sh -c "exit $status" || got=$?
      [ "$got" = "$status" ] || fail "status $status came out as $got"
    done
    got=0
    linux -- no-such-command 2>err || got=$?
    [ "$got" = 127 ] || fail "an unknown command gave $got"
    got=0
    linux -- sh -c 'kill -9 $$' || got=$?
    [ "$got" = 137 ] || fail "a killed command gave $got"
    linux -- sh -c 'echo out; echo err >&2' >out 2>err
    [ "$(cat out) $(cat err)" = "out err" ] || fail "output and errors were mixed up"
    printf 'one\ntwo\n' | "$nvmesim" linux --stdin -- wc -l >out
    [ "$(cat out)" -eq 2 ] || fail "standard input was lost"
    ;;
  kill)
    mkdir run
    export TMPDIR=$work/run
    for victim in nvmesim kernel; do
      for moment in 0.5 2; do
        "$nvmesim" linux --drive p4800x -- sh -c 'while :; do
          dd if=/dev/nvme0n1 of=/dev/null bs=4k count=100 iflag=direct 2>/dev/null; done' \
          </dev/null 2>err &
        pid=$!
        sleep $moment
        if [ $victim = nvmesim ]; then
          kill -9 $pid
        else
          wait_until kernel_runs umid=nvmesim $pid
          pkill -9 -f umid=nvmesim -P "$(pgrep -P $pid nvmesim-keeper)"
        fi
        got=0
        wait $pid 2>/dev/null || got=$?
        [ $victim = nvmesim ] || [ $got = 1 ] || fail "a killed kernel gave $got"
        wait_until all_gone
        [ "$(wc -l <err)" -eq 1 ] ||
          fail "$victim killed after $moment s: no single line says so: $(cat err)"
      done
    done
    # Ended by the user.
    "$nvmesim" linux --drive p4800x -- sleep 1000000 </dev/null 2>err &
    pid=$!
    sleep 1
    kill -TERM $pid
    got=0
    wait $pid || got=$?
    [ $got = 143 ] && grep -q interrupted err || fail "SIGTERM gave $got: $(cat err)"
    wait_until all_gone
    ;;
  input)
    for wrong in '--drive nosuch -- true' '--memory 1 -- true' '--kernel /nosuch -- true' \
      '--break nonsense -- true' '--linux-tree /nosuch -- true' '--linux-version 0.1 -- true' \
      '--kernel-arg x -- true' ''; do
      got=0
      # shellcheck disable=SC2086
      "$nvmesim" linux $wrong </dev/null 2>err || got=$?
      [ "$got" = 2 ] || fail "'$wrong' gave $got"
      [ "$(wc -l <err)" -eq 1 ] || fail "'$wrong' says more or less than a line: $(cat err)"
    done
    ;;
  *) fail "no such test" ;;
esac
