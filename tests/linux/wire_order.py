#!/usr/bin/python3
"""Whether two wire traces have the same register accesses and admin commands in the same order:
tests/support/wire_lines.hpp, as a program.

usage: wire_order.py TRACE RECORDING
Our kernel has NVME_HWMON, which reads the SMART log once more than the recorded ones.
"""
import difflib
import re
import sys

MMIO = re.compile(r"^\d+ MMIO ([RW]) 4 @([0-9a-f]{4}) .*= ([0-9a-f]+)$")
ADMIN = re.compile(r"^\d+ ADMIN op (\w+) cid \d+ nsid (\w+) prp1 (\w+) c10 (\w+) c11 (\w+)$")
HWMON = "op 02 nsid ffffffff prp1 c10 7f0002 c11 0"


def essences(path):
    result = []
    for line in open(path):
        mmio, admin = MMIO.match(line.strip()), ADMIN.match(line.strip())
        if mmio and int(mmio[2], 16) < 0x1000:
            address = 0x28 <= int(mmio[2], 16) < 0x38
            text = f"{mmio[1]} {mmio[2]} {'address' if address else mmio[3]}"
        elif admin:
            prp1 = "no prp1" if admin[3] == "0" else "prp1"
            text = f"op {admin[1]} nsid {admin[2]} {prp1} c10 {admin[4]} c11 {admin[5]}"
        else:
            continue
        # Polls of CSTS that found nothing new.
        if text in ("R 001c 5", HWMON) or (result and text == result[-1] and text.startswith("R 001c")):
            continue
        result.append(text)
    return result


trace, recording = essences(sys.argv[1]), essences(sys.argv[2])
print("\n".join(difflib.unified_diff(recording, trace, lineterm="", n=2)))
sys.exit(trace != recording or len(trace) < 20)
