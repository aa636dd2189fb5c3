#!/usr/bin/env bash
# What a report says of a run is what happened in it: small runs of which the truth is known, looked
# at through the command, its exit status and its JSON.
#   report_facts.sh NVMESIM
set -uo pipefail
nvmesim=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
export root

fail() {
  echo "FAILED: $*"
  sed 's/^/  | /' stderr | head -30
  failed=$((failed + 1))
}

# ends STATUS ARGUMENTS...: a run; its results are in a.json, its words in stdout and stderr.
ends() {
  local wanted=$1 status
  shift
  rm -f a.json
  "$nvmesim" "$@" --set simulation.check_protocol=true --json a.json >stdout 2>stderr
  status=$?
  [ "$status" -eq "$wanted" ] || fail "nvmesim $*: exit status $status, not $wanted"
}

# holds EXPRESSION...: over the report r, in Python; the report fits the schema.
holds() {
  /usr/bin/python3 - "$@" <<'PYTHON' 2>>stderr || fail "$*"
import json, os, sys
import jsonschema
r = json.load(open("a.json"))
jsonschema.validate(r, json.load(open(os.environ["root"] + "/sim/report/schema.json")))
def stat(name):
    return r["statistics"][name]["value"]
for expression in sys.argv[1:]:
    assert eval("(" + expression + ")"), expression
PYTHON
}

says() { grep -qE "$2" "$1" || fail "$1 does not say: $2"; }

job() { # NAME LINES...: NAME.fio, asynchronous, 16 deep
  local name=$1
  shift
  printf '%s\n' "[$name]" ioengine=libaio iodepth=16 "$@" >"$name.fio"
}

# The backlog of a replay that keeps up is nothing, that of one that cannot is what it takes longer.
ends 0 replay "$root/traces/fio-mix.iolog.gz" --speed 1000 --no-summary
holds 'r["backlog"]["behind_mean_ns"] > 0.9 * r["operations"]["read"]["latency"]["mean_ns"]' \
  'r["backlog"]["end_behind_ns"] > 50e6' \
  'r["backlog"]["processor_wait_max_ns"] > 0.9 * r["backlog"]["behind_max_ns"]'
printf 'fio version 3 iolog\n0 a read 0 4096\n5000 a read 8192 4096\n' >slow.iolog
ends 0 replay slow.iolog
holds 'r["backlog"]["behind_max_ns"] < 1000' 'r["backlog"]["end_behind_ns"] == 0'

# On standard output the JSON stands alone.
"$nvmesim" replay slow.iolog --json - 2>stderr >a.json || fail 'JSON on standard output'
holds 'r["requests"]["completed"] == 2'

# Both reads were of a new drive; what the workload was can be told from the result alone.
holds 'r["media_reads"] == {"commands": 2, "unwritten": 2}' \
  'r["workload"]["file_bytes"] == os.path.getsize("slow.iolog")' \
  'r["workload"]["file_crc32"] == "%08x" % __import__("zlib").crc32(open("slow.iolog","rb").read())'
says stdout '2 of 2 reads touched blocks that were never written'
ends 0 replay slow.iolog --drive p4800x
holds 'r["media_reads"] == {"commands": 2, "unwritten": 2}'
mv a.json one.json
ends 0 replay slow.iolog --drive p4800x --speed 2
"$nvmesim" compare one.json a.json >stdout || fail compare
says stdout 'workload.speed: "1" -> "2"'

# Write amplification is against what the host wrote.
job sectors rw=randwrite bs=512 size=1g number_ios=5000
ends 0 run sectors.fio --no-summary
holds 'r["flash"]["host_bytes"] == 5000 * 512' \
  '7 < r["flash"]["write_amplification_ratio"] < 9' \
  'r["flash"]["host_programmed_bytes"] > 4000 * 4096'
job again rw=randwrite bs=4k size=64k io_size=1g norandommap=1 number_ios=5000
ends 0 run again.fio --no-summary
holds 'r["flash"]["host_bytes"] == 5000 * 4096' 'r["flash"]["write_amplification_ratio"] < 0.9'

# Everything is of the measured part: no probe, no warm-up, no read-back, no shutdown.
ends 0 run again.fio --no-summary --verify
holds 'stat("device.controller.write_commands") == 5000' \
  'stat("device.controller.read_commands") == 0' \
  'stat("host.nvme0.admin_commands") == 0 if "host.nvme0.admin_commands" in r["statistics"] else True' \
  'r["verification"]["passed"]'
ends 0 run again.fio --no-summary --warmup 10
holds '0 < r["requests"]["warmup"] < 5000' \
  'abs(stat("device.controller.write_commands") - r["operations"]["write"]["count"]) <= 16' \
  'abs(r["flash"]["host_bytes"] - r["operations"]["write"]["bytes"]) <= 16 * 4096' \
  'abs(stat("device.media.ftl.free_superblocks")) > 0' \
  'r["statistics"]["device.media.ftl.free_superblocks"]["level"]' \
  'r["workload"]["warmup_ms"] == 10'

# All that flash can tell: why it was programmed, what wore, what was hit, what suspended, what each
# read waited for at a die.
cat >flash.json <<'JSON'
{"device": {"media": {
  "capacity_bytes": 134217728, "keep_data": false,
  "nand": {"channels": 2, "dies_per_channel": 2, "pages_per_block": 24, "program_suspend": true,
           "erase_suspend": true, "age_limit_us": 500000, "independent_plane_reads": true},
  "reliability": {"bit_errors": true, "rber_ppb": 8000000, "refresh_reads": 600},
  "ftl": {"over_provisioning_percent": 30, "parity": true, "slc_superblocks": 2,
          "static_wear_gap": 1, "dynamic_wear_levelling": true},
  "write_buffer": {"bytes": 2097152},
  "read_cache": {"bytes": 262144, "ahead_units": 16},
  "map_cache": {"bytes": 16384, "write_back": true}}}}
JSON
printf '%s\n' [global] ioengine=libaio [mix] iodepth=16 rw=randrw bs=4k size=48m io_size=300m \
  norandommap=1 number_ios=60000 [again] iodepth=1 rw=read bs=4k size=1m io_size=16m >flash.fio
ends 0 run flash.fio --drive flash.json --precondition random --fill 60% --no-summary
holds 'sum(c["bytes"] for c in r["flash"]["by_cause"].values()) == r["flash"]["media_bytes"]' \
  'all(c["bytes"] > 0 for c in r["flash"]["by_cause"].values())' \
  'abs(sum(c["amplification_ratio"] for c in r["flash"]["by_cause"].values())
       - r["flash"]["write_amplification_ratio"]) < 1e-5' \
  'r["flash"]["moved_bytes"] == 4096 * stat("device.media.ftl.gc_units")
     == sum(r["flash"]["by_cause"][c]["bytes"]
            for c in ("collection", "folding", "refresh", "wear_levelling"))' \
  'r["flash"]["erases"] == stat("device.media.nand.erases") > 0' \
  'sum(s["value"] for n, s in r["statistics"].items() if "ftl.wear_from_" in n) > 20' \
  'stat("device.media.ftl.wear_most") > stat("device.media.ftl.wear_least") >= 0' \
  'all(stat("device.media." + n) > 0 for n in
       ("read_cache.hits", "read_cache.ahead_hits", "read.buffer_hits", "read.media_units",
        "map_cache.hits", "map_cache.misses", "map_cache.write_backs", "write_buffer.coalesced",
        "reliability.read_retries", "reliability.retried_reads", "nand.program_suspends",
        "nand.erase_suspends", "nand.plane_reads_beside", "nand.energy_uj"))' \
  'len(r["utilisation"]["die"]["members"]) == 4 and len(r["utilisation"]["channel"]["members"]) == 2' \
  'all(0 < m["busy_ratio"] <= 1 for g in ("die", "channel")
       for m in r["utilisation"][g]["members"].values())' \
  'all(r["operations"]["read"]["stages"]["die_wait_" + c]["total_ps"] > 0
       for c in ("read", "program", "erase", "gc"))' \
  'sum(s["total_ps"] for s in r["operations"]["read"]["stages"].values())
     == r["operations"]["read"]["latency"]["total_ps"]'

# XPoint media check their reads as well.
job small rw=randwrite bs=512 size=1m number_ios=200
ends 0 run small.fio --drive p4800x --verify --no-summary
holds 'r["verification"]["media_reads_checked"] > 0' \
  'r["verification"]["sectors_checked"] > r["verification"]["sectors_written"]'

# A job that makes progress below a thousandth of itself in the time is none that hangs.
job large rw=read bs=512 size=100g runtime=30ms
ends 0 run large.fio --no-summary --set simulation.hang_after_ms=1
holds '"hang" not in r' 'r["operations"]["read"]["count"] > 1000'

# Nor does one hang that was idle for long and has just begun something.
printf 'fio version 3 iolog\n0 a read 0 4096\n4990 a read 8192 4096\n' >idle.iolog
ends 0 replay idle.iolog --no-summary --set simulation.hang_after_ms=1
holds '"hang" not in r' 'r["requests"]["completed"] == 2'

# One that has stopped does hang, though its clock runs on; each request says where it is.
job stuck rw=randread bs=4k size=64m time_based=1 runtime=1s
ends 1 run stuck.fio --set device.media.ftl.prefill_percent=100 \
  --set 'device.media.nand.read_ns=[50000000]' --set simulation.hang_after_ms=10
holds '[o["stage"] for o in r["hang"]["open"]] == ["drive: in the media"] * 16'
says stdout '^HANG at .*no request ended for 10 ms'
says stderr '^nvmesim: failed: the run hangs: no request ended for 10 ms'

# What the simulated host warns of is shown, the first of it.
ends 0 run stuck.fio --set device.media.ftl.prefill_percent=100 --no-summary \
  --set 'device.media.nand.read_ns=[1000000000]' --driver nvme_core.io_timeout=1
says stderr "nvme nvme0: I/O .*timeout"

# A trace of nothing but syncs on a drive without a cache.
printf 'fio version 3 iolog\n0 a sync 0 0\n10 a sync 0 0\n' >sync.iolog
ends 0 replay sync.iolog
grep -q 'No request ended' stdout && fail 'two flushes ended'

# What was done to a trace is told.
printf 'fio version 3 iolog\n20 a read 0 4096\n10 a read 0 4096\nnonsense\n30 a read 0 4096\n' >mixed
ends 0 replay mixed --limit 2
holds 'r["trace"]["out_of_order"] == 1' 'r["trace"]["beyond_limit"] == 1' \
  'r["trace"]["unknown_lines"] == 1' 'r["trace"]["gzip"] == False' 'r["trace"]["other_lines"] == 1'
says stdout '2 requests, 1 unknown line, 1 beyond the limit, 1 out of order'

# Pipes are read like files.
"$nvmesim" replay <(cat slow.iolog) >stdout 2>stderr || fail 'a pipe'
"$nvmesim" replay /dev/stdin <slow.iolog >stdout 2>stderr || fail 'standard input'
"$nvmesim" replay /dev/stdin < <(cat slow.iolog) >stdout 2>stderr || fail 'a pipe as standard input'

# A file name stands for the drive, and that is said.
job named rw=read bs=4k size=64k filename=/dev/nvme7n1
ends 0 run named.fio
holds 'any("/dev/nvme7n1" in note for note in r["notes"])' \
  'r["workload"]["jobs"][0]["options"]["filename"] == "/dev/nvme7n1"'

# Memory of the host that runs out in the middle: what was done is told, and the user's mistake.
printf 'fio version 3 iolog\n' >flood
for i in $(seq 200); do echo "$i a read 0 16777216"; done >>flood
ends 2 replay flood --set host.memory_bytes=268435456
says stderr 'memory_bytes'
holds 'r["partial"]' '"memory_bytes" in r["partial_reason"]' 'r["requests"]["submitted"] > 0'

echo "$failed failed"
[ "$failed" -eq 0 ]
