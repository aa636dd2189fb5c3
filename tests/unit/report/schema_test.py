#!/usr/bin/python3
"""Reports are what the schema says, and the schema refuses what they are not.

usage: schema_test.py SAMPLE_REPORTS_PROGRAM SCHEMA
"""
import copy
import json
import pathlib
import subprocess
import sys
import tempfile

import jsonschema


def places(value, path=()):
    """Every (path, value) inside a document, itself included."""
    yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, path + (key,))


def at(document, path):
    for key in path:
        document = document[key]
    return document


def is_open(path):
    """Configuration is the user's; maps by name take any name; a few members are optional."""
    return path[:1] == ("configuration",)


def damages(report):
    """(what, damaged copy) for each way in which a report can be wrong."""
    for path, value in places(report):
        if is_open(path) and path != ("configuration",):
            continue
        if path:
            other = [] if isinstance(value, (str, dict)) else "text"
            for wrong in (other, None):
                damaged = copy.deepcopy(report)
                at(damaged, path[:-1])[path[-1]] = wrong
                yield f"{path} is {wrong!r}", damaged
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            damaged = copy.deepcopy(report)
            at(damaged, path[:-1])[path[-1]] = -1
            yield f"{path} is negative", damaged
        if isinstance(value, int) and not isinstance(value, bool):
            damaged = copy.deepcopy(report)
            at(damaged, path[:-1])[path[-1]] = 0.5
            yield f"{path} is no integer", damaged
        if isinstance(value, dict) and not is_open(path):
            damaged = copy.deepcopy(report)
            at(damaged, path)["surprise"] = 1
            yield f"{path} has a surprise", damaged


OPTIONAL = {"partial_reason", "trace", "backlog", "verification", "flash", "hang", "jobs",
            "block_layer_flushes", "write_amplification_ratio", "amplification_ratio",
            "workload", "event", "media_reads", "guest", "exit_status"}


def is_map(path):
    """Objects whose keys are names of things, which may be there or not."""
    return (path in (("operations",), ("utilisation",), ("statistics",)) or path[-1:] == ("stages",)
            or path[-1:] == ("operations",) or path[-1:] == ("members",)
            or path[-1:] == ("options",))


def removals(report):
    for path, value in places(report):
        if not path or is_open(path[:-1]) or isinstance(at(report, path[:-1]), list):
            continue
        if path[-1] in OPTIONAL or is_map(path[:-1]):
            continue
        damaged = copy.deepcopy(report)
        del at(damaged, path[:-1])[path[-1]]
        yield f"{path} is missing", damaged


def main():
    program, schema_file = sys.argv[1:]
    schema = json.loads(pathlib.Path(schema_file).read_text())
    checker = jsonschema.validators.validator_for(schema)
    checker.check_schema(schema)
    validator = checker(schema)
    tried = 0
    failures = []
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([program, directory], check=True, stdout=subprocess.DEVNULL)
        files = sorted(pathlib.Path(directory).iterdir())
        assert len(files) == 5, files
        for file in files:
            report = json.loads(file.read_text())
            for error in validator.iter_errors(report):
                failures.append(f"{file.name}: {list(error.path)}: {error.message}")
            if file.name == "changed.json":
                continue
            # One of each kind of named thing is enough.
            for group in report["utilisation"].values():
                group["members"] = dict(list(group["members"].items())[:1])
            for operation in report["operations"].values():
                operation["stages"] = dict(list(operation["stages"].items())[:1])
            report["slowest"] = report["slowest"][:1]
            for what, damaged in list(damages(report)) + list(removals(report)):
                tried += 1
                if validator.is_valid(damaged):
                    failures.append(f"{file.name}: accepted although {what}")
    print(f"{tried} damaged reports, {len(failures)} failures")
    for failure in failures[:50]:
        print(failure)
    assert tried > 500
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
