#!/usr/bin/env bash
# One test of `nvmesim linux` with the real kernel. Usage: linux_test.sh NVMESIM READS NAME.
# Exit status 77: there is no kernel, and none can be built.
set -euo pipefail
nvmesim=$1 reads=$2 name=$3
script=$(realpath "$0")
if [ "${NVMESIM_LINUX_TESTS:-}" = off ]; then
  echo "SKIP: NVMESIM_LINUX_TESTS is off"
  exit 77
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

linux() { linux_on p4800x "$@"; }
linux_on() {
  local drive=$1
  shift
  "$nvmesim" linux --drive "$drive" "$@" </dev/null
}
fail() {
  echo "FAILED: $*"
  exit 1
}

if [ "$name" = build ]; then
  # Trees that stand in for Linux: one whose build never ends, one whose build fails.
  export XDG_CACHE_HOME=$work/cache
  for tree in endless broken; do
    mkdir -p $tree/arch/um
    touch $tree/arch/um/Makefile
  done
  printf 'tinyconfig:\n\tsleep 98765\n' >endless/Makefile
  printf 'tinyconfig:\n\techo no such option; exit 1\n' >broken/Makefile
  left() { pgrep -f "make .*-C $work/endless|^sleep 98765$" >/dev/null; }
  nothing_left() { ! left; }
  for signal in KILL TERM; do
    "$nvmesim" linux --prepare --linux-tree endless >out 2>&1 &
    pid=$!
    for _ in $(seq 100); do ! left || break; sleep 0.1; done
    left || fail "it does not build: $(cat out)"
    kill -$signal $pid
    for _ in $(seq 100); do left || break; sleep 0.1; done
    nothing_left || fail "nvmesim ended by $signal, and the build goes on"
    wait $pid 2>/dev/null || true
  done
  got=0
  "$nvmesim" linux --prepare --linux-tree broken >out 2>err || got=$?
  [ $got = 2 ] && tail -n 1 err | grep -q 'no such option' || fail "a broken tree: $got: $(cat err)"
  exit 0
fi
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
    # A device of fixed 10 us: what the guest's clock says of a read is those, two clock reads of
    # 256 ns, the time of link and controller as the stages have it, and less than 1 us for what
    # else the guest does. A program that does nothing but read leaves no time between: from one
    # doorbell's work to the next, all of it is in the stages, but for the clock read in front.
    for ns in 0 10000; do
      linux --set device.controller.pipeline.read_latency_ns=$ns --json "$ns.json" -- \
        "$reads" /dev/nvme0n1 1000 >"$ns.guest"
    done
    /usr/bin/python3 - <<'PYTHON'
import json
stages, guest = {}, {}
for ns in (0, 10000):
    read = json.load(open(f"{ns}.json"))["operations"]["read"]
    assert read["count"] == 1000, read["count"]
    # The first one carries the start of the program.
    stages[ns] = {name: stage["total_ps"] / 1e6 for name, stage in read["stages"].items()}
    guest[ns] = int(open(f"{ns}.guest").read().split()[1])
    middle = read["latency"]["p50_ns"]
    assert abs(middle - 256 - guest[ns]) <= 20, (middle, guest[ns])
drive = {ns: sum(v for name, v in stages[ns].items() if name not in ("submit", "complete"))
         for ns in stages}
assert abs(stages[10000]["decode"] - stages[0]["decode"] - 10000) < 1, stages
rest = guest[10000] - 10000 - 2 * 256 - (drive[10000] - 10000)
print(f"guest {guest[10000]} ns, drive and link {drive[10000] - 10000:.0f} + 10000 ns, rest {rest:.0f} ns")
# The mean that the guest prints is cut to whole ns.
assert -1.5 < rest < 1000, rest
more = guest[10000] - guest[0]
assert abs(more - 10000) < 100, more
PYTHON
    ;;
  json)
    # The results are what the command did, say the same as the wire, and change nothing on it.
    linux --json a.json --slowest 5 --doorbells --trace-wire with -- "$reads" /dev/nvme0n1 500 >/dev/null
    linux --doorbells --trace-wire without -- "$reads" /dev/nvme0n1 500 >/dev/null
    [ -s with ] && cmp with without || fail "measuring changes what the kernel does"
    linux --json again.json --slowest 5 -- "$reads" /dev/nvme0n1 500 >/dev/null
    cmp a.json again.json || fail "two runs have different results"
    linux --json b.json -- sh -c 'dd if=/dev/zero of=/dev/nvme0n1 bs=8k count=10 oflag=direct 2>&1 &&
      blkdiscard -o 0 -l 1M /dev/nvme0n1 && blkdiscard -z -o 0 -l 64K /dev/nvme0n1 &&
      echo 1 > /sys/class/nvme/nvme0/reset_controller; exit 3' >/dev/null && fail "status" || [ $? = 3 ]
    "$nvmesim" linux --drive p4800x --json c.json -- sleep 100000 </dev/null 2>/dev/null &
    pid=$!
    wait_until pgrep -P "$pid" nvmesim-keeper >/dev/null
    sleep 1
    kill -TERM $pid
    wait $pid || true
    root="$(cd "$(dirname "$script")/../.." && pwd)" /usr/bin/python3 - <<'PYTHON'
import json, os, re
import jsonschema
schema = json.load(open(os.environ["root"] + "/sim/report/schema.json"))
a, b, c = (json.load(open(name + ".json")) for name in "abc")
for report in (a, b, c):
    jsonschema.validate(report, schema)
read = a["operations"]["read"]
assert read["count"] == 500 and read["bytes"] == 500 * 4096 and read["errors"] == 0, read
assert a["statistics"]["device.controller.read_commands"]["value"] == 500
assert a["requests"]["lost"] == 0 and a["requests"]["submitted"] == 500 + a["requests"]["warmup"]
stages = {name: stage["total_ps"] for name, stage in read["stages"].items()}
assert sum(stages.values()) == read["latency"]["total_ps"]
assert read["completion_latency"]["total_ps"] + stages["submit"] == read["latency"]["total_ps"]
assert abs(a["guest"]["io_open_ns"] + a["guest"]["alone_ns"] - a["measured_time_ns"]) < 1
assert len(a["slowest"]) == 5
latencies = [row["latency_ns"] for row in a["slowest"]]
assert latencies == sorted(latencies, reverse=True) and latencies[0] == read["latency"]["max_ns"]
# On the wire, at the drive, a command takes from its doorbell to its interrupt: the stages between.
wire, since = [], None
for line in open("with"):
    if "SQ1TDBL" in line:
        since = int(line.split()[0])
    elif "MSI-X vec 1" in line and since is not None:
        wire.append(int(line.split()[0]) - since)
        since = None
wire = wire[-500:]
between = sum(v for k, v in stages.items() if k not in ("submit", "doorbell", "interrupt", "complete"))
assert abs(sum(wire) / 500 - between / 500 / 1000) < 2, (sum(wire) / 500, between / 5e5)
ops = b["operations"]
assert ops["write"]["count"] == 10 and ops["write"]["bytes"] == 81920, ops["write"]
assert ops["discard"]["bytes"] == 1 << 20, ops["discard"]
zeroed = ops.get("write_zeroes", {"bytes": 0})["bytes"] + ops["write"]["bytes"] - 81920
assert zeroed == 65536, ops
assert b["guest"]["exit_status"] == 3 and b["guest"]["admin_commands"] > 5, b["guest"]
assert not a["partial"] and c["partial"] and "exit_status" not in c["guest"]
assert a["workload"]["command"][1:] == ["/dev/nvme0n1", "500"]
PYTHON
    ;;
  tools)
    # What a user does on a machine with a drive.
    linux_on p5510 -- sh -c 'set -e
      nvme id-ctrl /dev/nvme0 | grep -q "^mn .*nvmesim"
      nvme smart-log /dev/nvme0 | grep -q "^critical_warning.*: 0$"
      dd if=/bin/sh of=/dev/nvme0n1 bs=64k conv=fsync 2>/dev/null
      dd if=/dev/nvme0n1 of=/tmp/back bs=64k count=4 2>/dev/null
      cmp -n 100000 /bin/sh /tmp/back
      blkdiscard /dev/nvme0n1
      nvme format /dev/nvme0n1 --force --lbaf=0 >/dev/null
      ! cmp -s -n 100000 /bin/sh /dev/nvme0n1
      cd /sys/block/nvme0n1/queue && test -s nr_requests' || fail "a tool failed"
    ;;
  fio)
    # What fio measures lies between what the results say with and without the guest's work in front.
    command -v fio >/dev/null || {
      echo "SKIP: no fio"
      exit 77
    }
    linux --json a.json -- fio --name=reads --clocksource=clock_gettime --filename=/dev/nvme0n1 \
      --rw=randread --bs=4k --direct=1 --ioengine=psync --number_ios=200 --size=64m \
      --output-format=json >fio.json
    /usr/bin/python3 - <<'PYTHON'
import json
text = open("fio.json").read()
fio = json.loads(text[text.index("{"):])["jobs"][0]["read"]
read = json.load(open("a.json"))["operations"]["read"]
assert fio["total_ios"] == 200 and fio["io_bytes"] == 200 * 4096, fio["total_ios"]
low, high = read["completion_latency"]["p50_ns"], read["latency"]["p50_ns"]
print(low, fio["lat_ns"]["mean"], high)
assert low < fio["lat_ns"]["mean"] < high < low + 2000
PYTHON
    ;;
  shared_time)
    # Linux 6.12 keeps the time in shared memory: fewer messages, and the same results as 6.1.
    [ -e /usr/src/linux-source-6.12.tar.xz ] || {
      echo "SKIP: no source of Linux 6.12"
      exit 77
    }
    "$nvmesim" linux --prepare --linux-version 6.12 >/dev/null
    for run in 1 2; do
      linux --linux-version 6.12 --doorbells --trace-wire "wire$run" --json "$run.json" -- \
        "$reads" /dev/nvme0n1 500 >"guest$run"
    done
    [ -s wire1 ] && cmp wire1 wire2 && cmp 1.json 2.json || fail "two runs differ"
    linux --json old.json -- "$reads" /dev/nvme0n1 500 >guest_old
    cmp guest1 guest_old || fail "6.12 measures something else than 6.1"
    /usr/bin/python3 - <<'PYTHON'
import json
new, old = json.load(open("1.json")), json.load(open("old.json"))
p50 = lambda report: report["operations"]["read"]["latency"]["p50_ns"]
assert p50(new) == p50(old), (p50(new), p50(old))
messages = lambda report: report["statistics"]["host.messages"]["value"]
assert messages(new) < 0.6 * messages(old), (messages(new), messages(old))
PYTHON
    # ... and its driver keeps the order that was recorded from another machine.
    linux_on "$(dirname "$script")/../golden/linux-6.1-device.json" --linux-version 6.12 \
      --trace-wire order -- true
    "$(dirname "$script")/wire_order.py" order \
      "$(dirname "$script")/../golden/linux-6.12-probe-shutdown.txt" || fail "another order"
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
    # A guest that is rebooted ends as one that is switched off: at once, with its command cut short.
    for end in 0x01234567 0x4321fedc; do
      got=0
      linux -- /usr/bin/python3 -c "import ctypes; ctypes.CDLL(None).reboot($end)" 2>err || got=$?
      [ "$got" = 1 ] || fail "reboot($end) gave $got"
      grep -q 'the command did not come to its end' err || fail "reboot($end): $(cat err)"
      ! grep -q 'closed a connection' err || fail "reboot($end): $(cat err)"
      [ "$(wc -l <err)" -eq 1 ] || fail "reboot($end) says more than a line: $(cat err)"
    done
    # What was ignored when it was started stays so.
    (
      trap '' HUP
      exec "$nvmesim" linux --drive p4800x -- sh -c 'sleep 5; exit 9' </dev/null >/dev/null 2>err
    ) &
    pid=$!
    wait_until pgrep -P $pid nvmesim-keeper >/dev/null
    kill -HUP $pid
    got=0
    wait $pid || got=$?
    [ $got = 9 ] || fail "an ignored SIGHUP ended the run: $got: $(cat err)"
    [ "$("$nvmesim" linux --help | grep -c '^usage:')" -eq 1 ] || fail "--help shows the usage twice"
    ;;
  kill)
    mkdir run
    export TMPDIR=$work/run
    for victim in nvmesim kernel; do
      for moment in $(awk 'BEGIN {srand(7); for (i = 0; i < 6; i++) printf "%.3f ", rand() * 1.5}'); do
        "$nvmesim" linux --drive p4800x -- sh -c 'while :; do
          dd if=/dev/nvme0n1 of=/dev/null bs=4k count=100 iflag=direct 2>/dev/null; done' \
          </dev/null 2>err &
        pid=$!
        sleep $moment
        if [ $victim = nvmesim ]; then
          # Before its keeper is there nobody can clean up.
          wait_until pgrep -P "$pid" nvmesim-keeper >/dev/null
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
      '--kernel-arg x -- true' '' '--kernel-args mem=1G -- true' '--kernel-args con1=null -- true' \
      '--kernel-args time-travel-start=5 -- true' '--kernel-args root=/dev/sda -- true' \
      '--driver nvme.nosuch=1 -- true' '--set driver.write_queues=1 -- true' \
      '--set host.cpus=3 -- true' '--set host.memory_bytes=536870912 -- true' \
      '--set simulation.hang_after_ms=5 -- true' '--set driver={"poll_queues":1} -- true' \
      '--set host={"cpus":3} -- true' '--set device.media.map_cache.entries_per_page=512 -- true' '--prepare -- true' '--json - -- true' \
      '--slowest 3 -- true' '--kernel /bin/true --linux-version 6.1 -- true' \
      '--linux-tree /nosuch --linux-version 6.1 -- true' '--doorbells -- true' \
      '--json x --trace-wire x -- true'; do
      got=0
      # shellcheck disable=SC2086
      "$nvmesim" linux $wrong </dev/null 2>err || got=$?
      [ "$got" = 2 ] || fail "'$wrong' gave $got"
      [ "$(wc -l <err)" -eq 1 ] || fail "'$wrong' says more or less than a line: $(cat err)"
    done
    head -c 300M /dev/zero | "$nvmesim" linux --stdin -- true 2>err && fail "endless input" || [ $? = 2 ]
    grep -q '256 MiB' err || fail "too much input: $(cat err)"
    # Working directories that the guest does not have, or nobody has any more.
    mkdir gone
    for where in /dev/shm /run /proc/self gone; do
      got=0
      (
        cd $where
        [ $where != gone ] || rmdir "$work/gone"
        exec "$nvmesim" linux -- true </dev/null
      ) 2>err || got=$?
      [ "$got" = 2 ] && [ "$(wc -l <err)" -eq 1 ] || fail "in $where: $got: $(cat err)"
    done
    (cd /mnt && linux -- pwd) >out
    [ "$(cat out)" = /mnt ] || fail "in /mnt the command ran in $(cat out)"
    # Places for temporary files of odd names.
    mkdir -p run "run/odd name: two"
    for place in "$work/run" run "run/odd name: two" ''; do
      TMPDIR=$place linux --trace-wire wire -- true || fail "TMPDIR='$place'"
      [ -z "$(find run -name 'nvmesim-*')" ] || fail "TMPDIR='$place' leaves its directory"
      [ ! -e first ] || cmp wire first || fail "TMPDIR='$place': the kernel's random numbers differ"
      cp wire first
    done
    # A kernel that is no kernel.
    got=0
    linux --kernel /bin/true -- true 2>err || got=$?
    [ "$got" = 1 ] && [ "$(wc -l <err)" -eq 1 ] || fail "/bin/true as a kernel: $got: $(cat err)"
    ;;
  *) fail "no such test" ;;
esac
