#!/usr/bin/env bash
# Faults of the link, power states and the IOMMU as a user sets them in a replay: what Linux survives
# the driver survives, and the report counts what happened.
#   link_faults.sh NVMESIM
set -uo pipefail
nvmesim=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0

fail() {
  echo "FAILED: $*"
  sed 's/^/  | /' stderr | head -30
  failed=$((failed + 1))
}

# Reads and writes of 4 KiB, 200 us apart, half of them after the faults begin.
/usr/bin/python3 - >trace.iolog <<'PYTHON'
print("fio version 3 iolog\n0 /dev/nvme0n1 add\n0 /dev/nvme0n1 open")
for i in range(400):
    print(f"{i * 200} /dev/nvme0n1 {'write' if i % 3 == 0 else 'read'} {i * 8192} 4096")
PYTHON

# ends STATUS SETTINGS...: a replay of it; results in a.json, the host's log and errors in stderr.
ends() {
  local wanted=$1 status
  shift
  rm -f a.json
  local settings=()
  for setting in "$@"; do settings+=(--set "$setting"); done
  "$nvmesim" replay trace.iolog --drive p4800x --set simulation.check_protocol=true \
    --set device.media.capacity_bytes=1073741824 "${settings[@]}" --json a.json >stdout 2>stderr
  status=$?
  [ "$status" -eq "$wanted" ] || fail "$*: exit status $status, not $wanted"
}

holds() {
  /usr/bin/python3 - "$@" <<'PYTHON' 2>>stderr || fail "$*"
import json, sys
r = json.load(open("a.json"))
def stat(name):
    return r["statistics"][name]["value"]
def mean(operation="read"):
    return r["operations"][operation]["latency"]["mean_ns"]
for expression in sys.argv[1:]:
    assert eval(expression), (expression, [(k, v["value"]) for k, v in r["statistics"].items() if "link.faults" in k or "aer" in k or "errors" in k])
PYTHON
}

# KIND DIRECTION: the first such TLP from the 50th ms on, in the midst of the requests.
once() {
  echo "link.faults.$1_ppb=1000000000 link.faults.most_of_each=1 link.faults.direction=$2" \
    "link.faults.from_us=50000"
}
json() { # EXPRESSION of the report r
  /usr/bin/python3 -c "import json; r = json.load(open('a.json')); print($1)"
}
every_request='sum(o["count"] for o in r["operations"].values()) == 400'

# Nothing configured: nothing counted, bursts.
ends 0
holds "$every_request" '"link.faults.corrupt" not in r["statistics"]' \
  'stat("host.aer.fatal") == 0 and stat("device.endpoint.errors.correctable") == 0'
mean_without=$(json 'r["operations"]["read"]["latency"]["mean_ns"]')

# Wrong bits: replayed, and only counted.
ends 0 link.faults.corrupt_ppb=20000000
holds "$every_request" 'stat("link.faults.corrupt") > 20' \
  'stat("link.down.replays") + stat("link.up.replays") >= stat("link.faults.corrupt")' \
  'stat("device.endpoint.errors.correctable") > 0 and stat("host.aer.correctable") > 0' \
  'stat("host.aer.fatal") == 0'
faults='r["statistics"]["link.faults.corrupt"]["value"], r["operations"]["read"]["latency"]["mean_ns"]'
first=$(json "$faults")
ends 0 link.faults.corrupt_ppb=20000000 link.faults.seed=2
[ "$first" != "$(json "$faults")" ] || fail "another seed gave the same faults: $first"

# A fetch of a command that is never answered: the drive gives it up, and itself; the request's
# timeout finds that and resets the controller.
ends 0 $(once drop_completion down)
holds "$every_request" 'stat("link.faults.drop_completion") == 1' \
  'stat("device.endpoint.completion_timeouts") == 1 and stat("device.endpoint.errors.non_fatal") == 1' \
  'stat("host.aer.non_fatal") == 1 and stat("host.nvme.nvme0.timeouts") == 1'
grep -q "will reset" stderr || fail "the log does not tell of the reset"
for kind in unsupported_request completer_abort; do
  ends 0 $(once $kind up)
  holds "$every_request" "stat('link.faults.$kind') == 1" \
    'stat("root_complex.port0.errors.correctable") == 1' 'stat("host.nvme.nvme0.timeouts") == 1'
done

# Poisoned data of a fetch or a transfer: told, and the request is sent again if it failed.
ends 0 $(once poison down)
holds "$every_request" 'stat("link.faults.poison") == 1' \
  'stat("device.endpoint.errors.non_fatal") == 1 and stat("host.aer.non_fatal") == 1'
ends 0 $(once poison up)
holds "$every_request" 'stat("root_complex.port0.errors.non_fatal") == 1'

# Fatal: the bus is reset, and the driver goes on.
for direction in up down; do
  ends 0 $(once malformed $direction)
  holds "$every_request" 'stat("link.faults.malformed") == 1 and stat("host.aer.fatal") == 1' \
    'stat("host.aer.recoveries") == 1 and stat("host.nvme.nvme0.timeouts") == 0'
done
ends 0 $(once surprise_down up)
holds "$every_request" 'stat("link.faults.surprise_down") == 1 and stat("host.aer.recoveries") == 1' \
  'stat("link.downs") == 1'  # the reset finds it down

# Sleep: requests 200 us apart find the link in L1.2 and wait for it.
ends 0 link.power.aspm=l1_2
holds "$every_request" 'stat("link.l1_2_entries") > 390' \
  "mean() - $mean_without > 69e3 and mean() - $mean_without < 71e3"
ends 0 link.power.aspm=l1_2 host.aspm=false
holds 'stat("link.l1_2_entries") == 0'

# The IOMMU: each request is mapped and unmapped; the first access to a page walks.
for mode in lazy strict; do
  ends 0 root_complex.iommu.enabled=true host.iommu.mode=$mode
  holds "$every_request" 'stat("host.dma.maps") == 400 and stat("host.dma.unmaps") == 400' \
    'stat("root_complex.iommu.misses") >= 400 and stat("root_complex.iommu.hits") > 400' \
    'stat("root_complex.iommu.faults") == 0' "mean() - $mean_without > 200" \
    "stat('host.dma.flushes') == (400 if '$mode' == 'strict' else 1)"
done
ends 0 root_complex.iommu.enabled=true host.iommu.mode=passthrough
holds 'stat("root_complex.iommu.passed") > 1000 and stat("root_complex.iommu.misses") == 0' \
  "mean() == $mean_without"

# A drive that goes for good ends the verification too.
printf '[w]\nrw=write\nbs=4k\nsize=16m\nio_size=2m\niodepth=8\nioengine=io_uring\n' >write.fio
timeout 60 "$nvmesim" run write.fio --verify --set device.media.capacity_bytes=1073741824 \
  --set link.faults.surprise_down_ppb=500000 --set link.faults.seed=3 \
  --set link.faults.from_us=10300 >stdout 2>stderr
[ $? -eq 1 ] || fail "a lost drive did not end the verification with status 1"

exit $((failed != 0))
