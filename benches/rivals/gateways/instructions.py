#!/usr/bin/env python3
"""Counts what a request costs a gateway on a machine of any speed: instructions in user mode (callgrind), or system calls.

What is counted is the difference between two loads of different length, so that neither start nor end is in it.

    ./instructions.py --work FOLDER                      a small answer over 16 connections
    ./instructions.py --work FOLDER --path /b/65536 --gateway portcullis-stack
    ./instructions.py --work FOLDER --scenario tls2      over TLS; newconn is a connection for each request
    ./instructions.py --work FOLDER --calls              system calls, by name
    ./instructions.py --work FOLDER --profile            the functions that most instructions are in
"""

import argparse
import concurrent.futures
import os
import re
import signal
import socket
import subprocess
import time

import compare
import gateways


def load(options, port, tls_port, headers, requests):
    if options.scenario == "newconn":
        return connect(options, port, headers, requests)
    headers = [part for header in headers for part in ("-H", header)]
    sent = ["-d", options.body] if options.body else []
    how = ["-m16"] if options.scenario == "tls2" else ["--h1"]
    base = f"https://127.0.0.1:{tls_port}" if options.scenario.startswith("tls") else f"http://127.0.0.1:{port}"
    command = ["h2load", *how, "-t1", "-c16", f"-n{requests}", *sent, *headers, base + options.path]
    told = subprocess.run(command, capture_output=True, text=True, timeout=600).stdout
    if f"{requests} succeeded" not in told:
        raise SystemExit(told)


def connect(options, port, headers, requests):
    """Asks over a connection for each request, of which eight are there at once."""
    lines = [f"GET {options.path} HTTP/1.1", "host: localhost", "connection: close", *headers]
    asked = "".join(f"{line}\r\n" for line in lines + [""]).encode()

    def ask(_):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(asked)
            with client.makefile("rb") as answer:
                if not (whole := answer.read()).startswith(b"HTTP/1.1 200 "):
                    raise SystemExit(whole)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(requests)))


def run(place, options, requests):
    """Serves that many requests below a tool; what the tool wrote."""
    gateway = gateways.ALL[options.gateway]
    port, tls_port = compare.free_port(), compare.free_port()
    out = place.path("calls" if options.calls else "callgrind.out")
    if options.calls:
        tool = ["strace", "-f", "-c", "-o", out]
    else:
        tool = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    log = place.path("tool.log")
    if os.path.exists(log):
        os.remove(log)
    process = place.start(tool + gateway.command(place, port, tls_port), place.proxy_core, log)
    try:
        compare.wait_for(port)
        time.sleep(1)
        load(options, port, tls_port, gateway.headers, requests)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)
    return open(out).read(), open(log).read()


def instructions(log):
    return int(re.search(r"Collected : (\d+)", log)[1])


def calls(table):
    rows = (line.split() for line in table.splitlines())
    return {row[-1]: int(row[3]) for row in rows if len(row) > 4 and row[0][0].isdigit() and row[-1] != "total"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", required=True)
    parser.add_argument("--gateway", default="portcullis")
    parser.add_argument("--scenario", default="small", choices=["small", "tls1", "tls2", "newconn"])
    parser.add_argument("--path", default="/")
    parser.add_argument("--body", help="a file to send")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--calls", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--proxy-core", default=f"0-{os.cpu_count() - 1}")
    parser.add_argument("--load-core", default=f"0-{os.cpu_count() - 1}")
    options = parser.parse_args()
    place = compare.Place(options)
    few, many = options.requests, 3 * options.requests
    try:
        (first, first_log), (second, second_log) = run(place, options, few), run(place, options, many)
    finally:
        compare.stop(place.origin)
    if options.calls:
        before, after = calls(first), calls(second)
        for name in sorted(after, key=lambda name: -after[name]):
            each = (after[name] - before.get(name, 0)) / (many - few)
            if each > 0.005:
                print(f"{name:20}{each:8.2f}")
        return
    each = (instructions(second_log) - instructions(first_log)) / (many - few)
    print(f"{options.gateway} {options.path}: {each:.0f} instructions per request")
    if options.profile:
        subprocess.run(["callgrind_annotate", "--threshold=70", place.path("callgrind.out")], check=True)


if __name__ == "__main__":
    main()
