#!/usr/bin/env bash
# Wrong input of every kind: one clear line on standard error, exit status 2, nothing left behind.
#   wrong_input.sh NVMESIM
set -uo pipefail
nvmesim=$1
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
passed=0
failed=0

trace=$root/traces/devwork.blktrace.txt.gz
: >empty
head -c 5000 "$trace" >truncated.gz
head -c 4096 /dev/zero | tr '\0' '\377' >garbage
yes 'no trace of anything' | head -100 >text
printf 'fio version 2 iolog\n' >header_only
mkdir directory
printf '[job]\nrw=randread\nsize=1m\nfrobnicate=1\n' >unknown_option.fio
printf '[job]\nrw=sideways\nsize=1m\n' >bad_value.fio
printf '[job]\nrw=randread\nbs=4k\nsize=1m\nioengine=warp\n' >bad_engine.fio
printf 'rw=read\n' >no_section.fio
printf '[job]\nrw=read\nsize=9999999999999999999999k\n' >huge.fio
printf '{"device": {"media": {"capacity_byte": 1}}}\n' >unknown_key.json
printf '{"link": {"lanes": 3000000}}\n' >out_of_range.json
printf '{"link": {"lanes": 4, "lanes": 8}}\n' >duplicate.json
printf '{"link": {"lanes": "four"}}\n' >wrong_type.json
printf '{"link": {' >broken.json
printf '{"host": {"cpus": 2}}\n' >wrong_section.json
printf '{"device": {"media": {"ftl": {"slc_fold_start": 3}}}}\n' >no_effect.json
printf '{}' >not_a_report.json
printf '{"format": "nvmesim-report", "format_version": 1}' >bare_report.json
printf '7,0 0 0.5 1 D W 8 + 8 [x]\n7,0 0 9000000.5 1 D W 8 + 8 [x]\n' >two_times
printf 'fio version 3 iolog\n0 a read 0 4096\n10 a read 8192 4096\n' >iolog
printf 'fio version 2 iolog\na read 0 4096\n' >untimed
printf '[job]\nrw=read\nsize=1m\nverify=crc32c\n' >verify.fio
printf '[job]\nrw=read\nbs=1g\niodepth=8\nioengine=libaio\n' >memory.fio
ln -s loop loop
ln -s iolog link_to_iolog
before=$(ls -A | sort)

# expect PATTERN ARGUMENTS...: the line matches PATTERN.
expect() {
  local pattern=$1 status lines
  shift
  "$nvmesim" "$@" >stdout 2>stderr
  status=$?
  lines=$(wc -l <stderr)
  if [ "$status" -ne 2 ] || [ "$lines" -ne 1 ] || ! grep -qE -- "^nvmesim: .*$pattern" stderr; then
    echo "FAILED: nvmesim $*: status $status, $lines lines: $(head -3 stderr)"
    failed=$((failed + 1))
  elif [ -s stdout ]; then
    echo "FAILED: nvmesim $*: printed to standard output: $(head -1 stdout)"
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
  rm -f stdout stderr
  if [ "$(ls -A | sort)" != "$before" ]; then
    echo "FAILED: nvmesim $*: left something behind: $(ls -A | sort | comm -13 <(echo "$before") -)"
    failed=$((failed + 1))
    ls -A | sort | comm -13 <(echo "$before") - | xargs rm -rf
  fi
}

expect 'no verb'
expect 'reply.*replay' reply
expect 'TRACE' replay
expect 'missing' replay missing
expect 'empty' replay empty
expect 'truncated' replay truncated.gz
expect 'garbage' replay garbage
expect 'text' replay text
expect 'header_only' replay header_only
expect 'directory' replay directory
expect 'too many' replay "$trace" second
expect 'drvie.*drive' replay "$trace" --drvie p5510
expect 'p5501.*p5510' replay "$trace" --drive p5501
expect 'nowhere' replay "$trace" --drive ./nowhere.json
expect 'capacity_byte.*capacity_bytes' replay "$trace" --drive ./unknown_key.json
expect 'lanes.*range' replay "$trace" --drive ./out_of_range.json
expect 'lanes' replay "$trace" --drive ./duplicate.json
expect 'lanes' replay "$trace" --drive ./wrong_type.json
expect 'broken' replay "$trace" --drive ./broken.json
expect 'host' replay "$trace" --drive ./wrong_section.json
expect 'directory' replay "$trace" --drive ./directory
expect 'lane.*lanes' replay "$trace" --set link.lane=4
expect 'lanes.*range' replay "$trace" --set link.lanes=17
expect 'lanes' replay "$trace" --set link.lanes=3
expect 'generation' replay "$trace" --set link.generation=9
expect 'cpus' replay "$trace" --set host.cpus=-1
expect 'set' replay "$trace" --set nonsense
expect 'nvme' replay "$trace" --driver io_queue_depth=4
expect 'io_queue_depth' replay "$trace" --driver nvme.io_queue_depth=1
expect 'event' replay "$trace" --event X
expect 'speed' replay "$trace" --speed fast
expect 'speed' replay "$trace" --speed 0
expect 'closed-loop' replay "$trace" --closed-loop 0
expect 'limit' replay "$trace" --limit -1
expect 'seed' replay "$trace" --seed one
expect 'directory: is a directory' replay "$trace" --limit 10 --json directory
expect 'cannot be written' replay "$trace" --limit 10 --json missing/out.json
cp iolog both
before=$(ls -A | sort)
expect 'both' replay both --json both
expect '16 MiB' replay /dev/zero
expect 'two_times:2: is 104 days later than line 1' replay two_times
expect 'event Q.*no events' replay iolog --event Q
expect 'speed 2' replay iolog --closed-loop 4 --speed 2
expect 'speed 2.*no arrival times' replay untimed --speed 2
expect 'max-open' replay iolog --max-open 0
expect 'max-open 4' replay iolog --max-open 4 --closed-loop 4
expect 'warmup 5000.*within the warm-up' replay iolog --warmup 5000 --json never.json
expect '--verify.*keep_data' replay iolog --verify --set device.media.keep_data=false
expect '16 MiB' run /dev/zero
expect "verify.fio:1: verify= of job 'job'.*keep_data" run verify.fio \
  --set device.media.keep_data=false
expect "memory.fio:1: job 'job'.*8192 MiB.*4096 MiB" run memory.fio
expect 'missing' run missing.fio
expect 'unknown_option.fio:4.*frobnicate' run unknown_option.fio
expect 'bad_value.fio:2' run bad_value.fio
expect 'warp' run bad_engine.fio
expect 'no_section' run no_section.fio
expect 'huge.fio:3' run huge.fio
expect 'directory' run directory
expect 'missing' compare missing missing
expect 'report' compare not_a_report.json not_a_report.json
expect 'bare_report.json.*whole' compare bare_report.json bare_report.json
expect 'broken' compare broken.json broken.json
expect 'B.json' compare not_a_report.json
expect 'too many' link now
expect 'lane.*lanes' link --lane 4
expect 'lanes is 3' link --lanes 3
expect "gen: '9' is not a number from 1 to 6" link --gen 9
expect 'gen.*four' link --gen four
expect 'max_payload_bytes is 300' link --mps 300
expect "mrrs: '64' is not a number from 128 to 4096" link --mrrs 64
expect 'read_completion_boundary_bytes' link --rcb 32
expect "size: '0'" link --size 0
expect "size: ''" link --size 64,,128
expect "size: '65'.*64" link --op mmio-read --size 65
expect 'dma-raed.*dma-read' link --op dma-raed
expect 'outstanding' link --outstanding 0
expect 'count: 8' link --outstanding 8 --count 8
expect 'window' link --window 1099511627776
expect 'corrupt_ppb' link --count 100 --set link.faults.surprise_down_ppb=1000000
expect 'corrupt_ppb' link --count 100 --devices 2 --set uplink.faults.poison_ppb=1000000
expect 'device.controllers' link --count 100 --set device.controllers=2
expect 'attribute=value' probe --store reset_controller
expect 'attribute=value' probe --store =1
expect 'read_cache.bytes' replay "$trace" --set device.media.read_cache.bytes=1000
expect 'device.media.read_cache.bytes: a medium of kind xpoint' replay "$trace" --drive p4800x \
  --set device.media.read_cache.bytes=1048576
expect 'device.media.xpoint.read_ns: a medium of kind nand' replay "$trace" \
  --set device.media.xpoint.read_ns=900
expect 'read_cache.ahead_units' replay "$trace" --set device.media.read_cache.ahead_units=64
expect 'xeon-e5-2637v4.*xeon-e5-2637v3' link --host xeon-e5-2637v4
expect "devices: '40' is not a number from 1 to 32" link --devices 40
expect "devices: '0' is not a number from 1 to 32" link --devices 0
expect 'ports=3: --devices says that already' link --devices 2 --set pcie_switch.ports=3
expect 'generation=3: --gen says that already' link --gen 5 --set link.generation=3
expect 'uplink.lanes is 3; it must be' link --devices 2 --set uplink.lanes=3
expect 'uplink.lanes has no effect: there is no switch' link --set uplink.lanes=8
expect 'uplink.lanes has no effect: there is no switch' replay iolog --set uplink.lanes=8
expect 'latency_ns has no effect: there is no switch' probe --set pcie_switch.latency_ns=1
expect 'iommu.mode has no effect: there is no IOMMU' link --set host.iommu.mode=strict
expect 'iommu.walkers has no effect: there is no IOMMU' run verify.fio --set root_complex.iommu.walkers=1
expect 'remote_latency_ns has no effect: no memory' probe --set root_complex.remote_latency_ns=1
expect 'map_ns has no effect: link measures without a kernel' link \
  --set root_complex.iommu.enabled=true --set host.iommu.map_ns=1
expect 'numa_nodes: 9 nodes for 8 processors' probe --set host.numa_nodes=9
expect 'drive_node: there is no node 2' probe --set host.numa_nodes=2 --set host.drive_node=2
expect 'remote_node_ns has no effect: the host is one node' probe --set host.remote_node_ns=1
expect 'cpus has no effect: link measures without a kernel' link --set host.cpus=2
expect 'keep_data has no effect: link .* media' link --set device.media.keep_data=false
expect '--driver: driver.poll_queues has no effect: link .* driver' link --driver nvme.poll_queues=1
expect 'no_effect.json: device.media.ftl.slc_fold_start has no effect: there is no SLC cache' probe \
  --drive ./no_effect.json
expect 'suspend_limit has no effect: nothing is suspended' replay iolog --set device.media.nand.suspend_limit=3
expect 'map_cache.entries_per_page has no effect: all of the table' config --set device.media.map_cache.entries_per_page=512
expect 'device.media.read_cache.bytes' config --set device.media.read_cache.bytes=1000
expect 'no policy is called "best"' config --set device.media.ftl.gc_policy=best
expect 'device.media.read_cache.bytes: a medium of kind xpoint' config --drive p4800x \
  --set device.media.read_cache.bytes=1048576
expect 'supported' link --set link.power.supported=none --set link.power.aspm=l1
expect 'corrupt_ppb' replay "$trace" --set link.faults.corrupt_ppb=2000000000
expect 'cache_ways' link --set root_complex.iommu.cache_ways=7
expect 'tag_bits' replay "$trace" --set device.endpoint.tag_bits=9
expect 'msi_vectors' replay "$trace" --set device.endpoint.msi_vectors=3
expect 'mmio_high_base' replay "$trace" --set root_complex.mmio_high_base=4294967296
expect 'cannot be written' probe --trace-tlp missing/tlp
expect 'never.*another file of this run' replay iolog --json never --save-state never
expect 'never.*another file of this run' replay iolog --save-state never --trace-tlp never
expect 'iolog.*another file of this run' replay iolog --save-state iolog
expect 'nowhere' replay iolog --load-state nowhere
expect 'iolog: not a saved state' replay iolog --load-state iolog
expect 'load-state' replay iolog --load-state iolog --precondition random
expect 'directory' replay "$trace" --limit 10 --trace-tlp directory
expect 'cannot be written' link --count 100 --json missing/out.json

expect '--json: is empty' replay "$trace" --limit 10 --json ''
expect 'TRACE: is empty' replay ''
expect 'JOB.fio: is empty' run ''
expect 'A.json: is empty' compare '' ''
expect '--drive: is empty' replay iolog --drive ''
expect '--check: is empty' drives --check ''
expect "'': no such verb" ''
expect "'': a setting is path.to.key=value" config --set ''
expect '--driver nvme.poll_queues: a setting is' config --driver nvme.poll_queues
expect 'unknown option -x' replay iolog -x
expect '--doorbells: without --trace-admin' probe --doorbells
expect '--filter: --show' config --show drive --filter link
expect '--sources: --check' drives --sources --check p5510
expect "option '--speed' cannot be specified more than once" replay iolog --speed 1 --speed 2
expect "speed 'nan'" replay iolog --speed nan
expect 'loop: cannot be written: Too many levels' replay iolog --json loop
expect 'loop: cannot be opened: Too many levels' compare loop loop
expect 'link_to_iolog: is another file of this run' replay iolog --json link_to_iolog
expect 'nosuch' config --filter nosuch
expect 'show.*both' config --show both
expect 'capacity_bytes.*"1000000000000000000000"' config --set device.media.capacity_bytes=1000000000000000000000

# An output that takes nothing, at the end of a run: the one line, behind the report.
"$nvmesim" replay iolog --save-state /dev/full >stdout 2>stderr
if [ $? -eq 2 ] && [ "$(cat stderr)" = 'nvmesim: /dev/full: cannot be written: No space left on device' ]; then
  passed=$((passed + 1))
else
  echo "FAILED: nvmesim replay iolog --save-state /dev/full: $(head -3 stderr)"
  failed=$((failed + 1))
fi
rm -f stdout stderr

# Standard output that takes nothing is an error too, and one that is closed.
full() { # OUTPUT ARGUMENTS...
  local output=$1
  shift
  if eval '"$nvmesim" "$@" 2>stderr '"$output" || [ "$(grep -c '^nvmesim: standard output: ' stderr)" -ne 1 ]; then
    echo "FAILED: nvmesim $* to a full device: $(head -3 stderr)"
    failed=$((failed + 1))
  else
    passed=$((passed + 1))
  fi
  rm -f stderr
}
full '>/dev/full' --help
full '>/dev/full' config
full '>&-' drives

# A run that is killed in the middle leaves no part of a file.
for signal in HUP KILL; do
  "$nvmesim" replay "$trace" --json out.json >/dev/null 2>&1 &
  sleep 0.2
  kill -$signal $!
  wait $! 2>/dev/null
  if [ "$(ls -A | sort)" = "$before" ]; then
    passed=$((passed + 1))
  else
    echo "FAILED: SIG$signal left $(ls -A | sort | comm -13 <(echo "$before") -)"
    failed=$((failed + 1))
  fi
done

# What config prints as a file is one, and gives the same.
for kind in drive host; do
  "$nvmesim" config --drive 970pro --set host.cpus=3 --show $kind >printed.json
  if "$nvmesim" config --$kind ./printed.json --show $kind | cmp -s - printed.json; then
    passed=$((passed + 1))
  else
    echo "FAILED: config --show $kind is no file for --$kind"
    failed=$((failed + 1))
  fi
done

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
