#!/usr/bin/env bash
# The main job and its sisters: every request of the recordings completes, every written sector is
# read back and right.
#   main_job.sh NVMESIM
set -euo pipefail
nvmesim=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

replay() { # TRACE REQUESTS: replays on p5510 and looks at the JSON
  "$nvmesim" replay "$root/traces/$1" --drive p5510 --verify --no-summary \
    --set simulation.check_protocol=true --json "$out/result.json"
  /usr/bin/python3 - "$out/result.json" "$2" "$root/sim/report/schema.json" <<'PYTHON'
import json, sys
import jsonschema
report = json.load(open(sys.argv[1]))
jsonschema.validate(report, json.load(open(sys.argv[3])))
requests = report["requests"]
assert requests["completed"] == int(sys.argv[2]), requests
assert requests["submitted"] - requests["completed"] == 0, requests
assert requests["failed"] == 0, requests
verification = report["verification"]
assert verification["sectors_checked"] > 0, verification
assert verification["mismatches"] == 0, verification
for name, operation in report["operations"].items():
    if operation["count"]:
        stages = sum(operation["stages"][s] if not isinstance(operation["stages"][s], dict)
                     else operation["stages"][s]["mean_ns"] for s in operation["stages"])
        mean = operation["latency"]["mean_ns"]
        assert abs(stages - mean) < 0.1, (name, stages, mean)
PYTHON
  echo "$1: ok"
}

replay sqlite.blktrace.txt.gz 27145
replay fio-mix.iolog.gz 30370
replay devwork.blktrace.txt.gz 1837
