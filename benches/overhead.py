#!/usr/bin/env python3
"""Counts the instructions that each layer takes over a service that does nothing, and holds them against `overhead.txt`.

    benches/overhead.py                 fails where a layer takes more than it may
    benches/overhead.py --write         takes what is counted now for what is stored
    benches/overhead.py --profile NAME  says in which functions those of one layer are
    benches/overhead.py --times         says what each adds to the nanoseconds of nothing, at best

Instructions, unlike time, are the same on a busy machine, and nearly the same on another of its kind: what is left are
the processor's variants of a copy, the keys of hash maps, and what another compiler makes of the same source.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
STORED = os.path.join(HERE, "overhead.txt")
NOTHING = "no layer"
REQUESTS = 1000
# How much more than what is stored is let pass: of a layer, and of one that takes hardly any.
SHARE, FEW = 0.05, 15


def build():
    command = ["cargo", "bench", "--locked", "-p", "portcullis-benches", "--bench", "overhead"]
    told = subprocess.run(
        [*command, "--no-run", "--message-format=json"], cwd=HERE, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    messages = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    return next(message["executable"] for message in messages if message.get("executable"))


def valgrind(program, folder, only=()):
    # Each call of `counted` is one layer, and is written to a file of its own when it is over.
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out"]
    command += ["--toggle-collect=overhead::counted", "--dump-after=overhead::counted"]
    done = subprocess.run([*command, program, "--count", *only], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return done.stdout.splitlines()


def count(program):
    with tempfile.TemporaryDirectory() as folder:
        names = valgrind(program, folder)
        totals = []
        for number in range(1, len(names) + 1):
            with open(f"{folder}/out.{number}") as file:
                totals.append(int(re.search(r"^(?:summary|totals): (\d+)", file.read(), re.MULTILINE)[1]))
    each = {name: round(total / REQUESTS) for name, total in zip(names, totals)}
    nothing = each.pop(NOTHING)
    return {name: total - nothing for name, total in each.items()}


def stored():
    with open(STORED) as file:
        lines = [line.rsplit(maxsplit=1) for line in file if line.strip()]
    return {name: int(counted) for name, counted in lines}


def write(counted):
    with open(STORED, "w") as file:
        file.writelines(f"{name} {number}\n" for name, number in counted.items())


def check(counted):
    before, worse = stored(), []
    for name, number in counted.items():
        known = before.get(name)
        if known is None:
            worse.append(f"{name}: {number}, and none are stored")
        elif number > known + max(FEW, known * SHARE):
            worse.append(f"{name}: {number} instead of {known}")
    worse += [f"{name}: stored, and not measured" for name in before if name not in counted]
    if worse:
        says = "\n  ".join(["layers take more instructions than they may:", *worse])
        sys.exit(f"{says}\nIf that is worth it, or of another compiler, store them: benches/overhead.py --write")


def profile(program, name):
    with tempfile.TemporaryDirectory() as folder:
        valgrind(program, folder, [name])
        told = subprocess.run(["callgrind_annotate", "--threshold=95", f"{folder}/out.1"], capture_output=True, text=True)
    print(told.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--profile", metavar="NAME")
    parser.add_argument("--times", action="store_true")
    arguments = parser.parse_args()
    program = build()
    if arguments.profile:
        return profile(program, arguments.profile)
    if arguments.times:
        sys.exit(subprocess.run([program, "--time"]).returncode)
    counted = count(program)
    for name, number in counted.items():
        print(f"{name:40}{number:8}")
    if arguments.write:
        write(counted)
    else:
        check(counted)


if __name__ == "__main__":
    main()
