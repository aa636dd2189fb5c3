#!/usr/bin/env bash
# A drive that is saved and loaded again is the same drive: its data, its wear, its counters. A
# state that is damaged or that of another drive is refused, and nothing is written then.
#   state.sh NVMESIM
set -uo pipefail
nvmesim=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
fail() {
  echo "FAILED: $*"
  sed 's/^/  | /' stderr | head -20
  failed=$((failed + 1))
}
drive=(--set device.media.capacity_bytes=1000000000)

printf '[fill]\nrw=write\nbs=64k\nsize=32m\niodepth=8\nioengine=io_uring\n' >write.fio
printf '[look]\nrw=randread\nbs=4k\nsize=32m\niodepth=8\nioengine=io_uring\n' >read.fio

# run JSON ARGUMENTS...
run() {
  local json=$1
  shift
  "$nvmesim" run "$@" "${drive[@]}" --json "$json" >stdout 2>stderr || fail "nvmesim run $*"
}
# holds EXPRESSION: over the reports of the runs, in Python.
holds() {
  /usr/bin/python3 - "$1" <<'PYTHON' 2>>stderr || fail "$1"
import json, os, sys
runs = {name: json.load(open(name + ".json")) for name in ("written", "new", "loaded", "again")
        if os.path.exists(name + ".json")}
def stat(run, name):
    return runs[run]["statistics"][name]["value"]
assert eval(sys.argv[1]), sys.argv[1]
PYTHON
}

run written.json write.fio --verify --save-state state
run new.json read.fio
run loaded.json read.fio --load-state state --save-state state2
run again.json read.fio --load-state state2
holds 'stat("new", "device.media.read.unmapped_commands") == 8192'
holds 'stat("loaded", "device.media.read.unmapped_commands") == 0'
holds 'stat("loaded", "device.media.read.media_units") == 8192'
holds 'stat("again", "device.media.read.unmapped_commands") == 0'
holds 'stat("loaded", "device.media.ftl.integrity_errors") == 0'

# The same run saves the same bytes.
run written.json write.fio --verify --save-state same
cmp -s state same || fail "two equal runs saved different states"

# refused LINE ARGUMENTS...: status 2, that line and no other, no output.
refused() {
  local line=$1 status
  shift
  "$nvmesim" run read.fio --json never --save-state never2 "$@" >stdout 2>stderr
  status=$?
  [ "$status" -eq 2 ] || fail "$*: exit status $status, not 2"
  [ "$(cat stderr)" = "nvmesim: $line" ] || fail "$*: not the line '$line'"
  [ ! -e never ] && [ ! -e never2 ] || fail "$*: an output is there"
}
for bytes in 0 5 12 13 40 $(($(stat -c %s state) / 2)) $(($(stat -c %s state) - 1)); do
  head -c "$bytes" state >cut
  what='damaged: it cannot be decompressed'
  [ "$bytes" -gt 12 ] || what='not a saved state of a drive'
  refused "cut: $what" "${drive[@]}" --load-state cut
done
refused "state: serial_number: the state of drive 'NVS5510000000001', this is 'NVS970P000000001'" \
  --drive 970pro --load-state state
refused 'state: made by another drive: its capacity in units is 244140 there and 488281 here' \
  --load-state state --set device.media.capacity_bytes=2000000000
refused '--load-state: is empty' "${drive[@]}" --load-state ''
refused '.: no such file, or not a file' "${drive[@]}" --load-state .

[ "$failed" -eq 0 ] && echo "passed"
exit $((failed != 0))
