#!/usr/bin/env bash
# The two resolutions of the link under a whole drive: 128 KiB streams in each direction beside 4 KiB
# reads one at a time, on the drive whose media is fastest, as it is and with a link so narrow that it
# is the bottleneck. Bandwidth agrees within 2 %, mean latency within 5 %.
#   link_resolution.sh NVMESIM
set -euo pipefail
nvmesim=$1
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

cat >"$out/job.fio" <<'JOB'
[global]
ioengine=io_uring
direct=1
time_based=1
runtime=30ms
[reader]
rw=read
bs=128k
size=64m
iodepth=4
[writer]
rw=write
bs=128k
offset=64m
size=64m
iodepth=4
[probe]
rw=randread
bs=4k
offset=128m
size=64m
iodepth=1
JOB

for lanes in 4 1; do
  for resolution in burst tlp; do
    "$nvmesim" run "$out/job.fio" --drive p4800x --set "link.lanes=$lanes" \
      --set "link.resolution=$resolution" --set simulation.check_protocol=true --no-summary --json "$out/$resolution.json" 2>/dev/null
  done
  echo "x$lanes"
  /usr/bin/python3 - "$out/burst.json" "$out/tlp.json" <<'PYTHON'
import json, sys
def jobs(path):
    return {job["name"]: job["operations"] for job in json.load(open(path))["jobs"]}
burst, tlp = jobs(sys.argv[1]), jobs(sys.argv[2])
def operation(of, name):
    return of[name]["write" if name == "writer" else "read"]
for name in ("reader", "writer", "probe"):
    a, b = operation(burst, name), operation(tlp, name)
    assert a["count"] > 50 and b["count"] > 50, (name, a["count"], b["count"])
    bandwidth = b["count"] / a["count"] - 1  # in the same time
    latency = b["latency"]["mean_ns"] / a["latency"]["mean_ns"] - 1
    print(f"{name}: burst {a['latency']['mean_ns']:.0f} ns, tlp {b['latency']['mean_ns']:.0f} ns "
          f"({100 * latency:+.2f} %), requests {a['count']}, {b['count']} ({100 * bandwidth:+.2f} %)")
    assert abs(bandwidth) <= 0.02, (name, bandwidth)
    assert abs(latency) <= 0.05, (name, latency)
PYTHON
done
