#!/usr/bin/env python3
"""Compares gateways by the requests that each serves in a second of CPU time of its own.

Each gateway runs alone on one core; the origin and the load are on another. nginx runs right before and right after every
other one, and what is quoted is the ratio to the mean of these two, as the median over the rounds: neither a slow machine
nor a busy neighbour moves it much. `nginx-big` differs from `nginx` in nothing that small answers touch: its ratio there is
the noise of the run, and differences below that mean nothing.

    ./run                                        the whole comparison
    ./run --scenarios small,64k --rounds 5       a part of it
    ./run --only portcullis,haproxy              against nginx in any case
    ./run --memory                               what it is idle, and what connections cost
    ./run --latency 5000                         at a fixed rate, in requests a second
"""

import argparse
import concurrent.futures
import json
import os
import random
import re
import resource
import shutil
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import time
import urllib.request

import gateways

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = "nginx"
TICKS = os.sysconf("SC_CLK_TCK")

# What is asked for, over how many connections. wrk speaks HTTP/1.1, h2load HTTP/2.
SCENARIOS = {
    "small": dict(connections=64, path="/"),
    "c1000": dict(connections=1000, path="/"),
    "20k": dict(connections=32, path="/b/20480", size=20480),
    "64k": dict(connections=32, path="/b/65536", size=65536),
    "10m": dict(connections=8, path="/b/10485760", size=10485760),
    "post16k": dict(connections=64, path="/", post=16384, size=16384),
    "post1m": dict(connections=32, path="/", post=1 << 20, size=1 << 20),
    "post10m": dict(connections=8, path="/", post=10 << 20, size=10 << 20),
    "tls1": dict(connections=64, path="/", tls=True),
    "tls2": dict(connections=16, path="/", tls=True, streams=16),
    "newconn": dict(connections=64, path="/", headers=["Connection: close"]),
}


class Place:
    """Where files go, and which cores are whose."""

    def __init__(self, options):
        self.work = os.path.abspath(options.work)
        self.proxy_core, self.load_core = options.proxy_core, options.load_core
        self.certificate, self.key = self.path("certificate.pem"), self.path("key.pem")
        os.makedirs(self.work, exist_ok=True)
        if not os.path.exists(self.certificate):
            subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
            kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "3650"]
            files = ["-keyout", self.key, "-out", self.certificate]
            subprocess.run(["openssl", "req", *kind, *subject, *files], check=True, capture_output=True)
        self.write("both.pem", open(self.certificate).read() + open(self.key).read())
        self.origin_port = free_port()
        origin = self.path("origin")
        subprocess.run(["cc", "-O2", "-o", origin, os.path.join(HERE, "origin.c")], check=True)
        self.origin = self.start([origin, str(self.origin_port)], self.load_core)
        wait_for(self.origin_port)

    def path(self, name):
        return os.path.join(self.work, name)

    def write(self, name, text):
        with open(self.path(name), "w") as file:
            file.write(text)
        return self.path(name)

    def start(self, command, core, log=None, environment=None):
        output = open(log, "ab") if log else subprocess.DEVNULL
        return subprocess.Popen(
            ["taskset", "-c", core, *command],
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )


class Running:
    """A gateway that serves."""

    def __init__(self, name, place):
        self.name, self.port, self.tls_port = name, free_port(), free_port()
        gateway = gateways.ALL[name]
        command = gateway.command(place, self.port, self.tls_port)
        self.headers = gateway.headers
        core = gateway.core or place.proxy_core
        self.process = place.start(command, core, place.path(f"{name}.log"), gateway.environment)
        wait_for(self.port)
        self.check()

    def check(self):
        """Whether it answers what the origin does, over TCP and TLS."""
        context = ssl._create_unverified_context()
        handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        opener = urllib.request.build_opener(*handlers)
        headers = dict(header.split(": ", 1) for header in self.headers)
        for base in (f"http://127.0.0.1:{self.port}", f"https://127.0.0.1:{self.tls_port}"):
            for path, body, length in (("/", None, 13), ("/b/200000", None, 200000), ("/", b"y" * 16384, 13)):
                request = urllib.request.Request(base + path, data=body, headers=headers)
                answer = opener.open(request, timeout=10).read()
                if len(answer) != length:
                    sys.exit(f"{self.name} answers {base}{path} with {len(answer)} bytes instead of {length}")

    def processes(self):
        children = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            parent = stat(int(entry))
            if parent:
                children.setdefault(int(parent[1]), []).append(int(entry))
        found, queue = [], [self.process.pid]
        while queue:
            found.append(queue.pop())
            queue += children.get(found[-1], [])
        return found

    def seconds(self):
        """Of CPU time in user mode and in the kernel."""
        times = [stat(process) for process in self.processes()]
        times = [fields for fields in times if fields]
        return tuple(sum(int(fields[place]) for fields in times) / TICKS for place in (11, 12))

    def memory(self):
        """Its own share of memory, in KiB."""
        total = 0
        for process in self.processes():
            try:
                with open(f"/proc/{process}/smaps_rollup") as rollup:
                    total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            except OSError:
                pass
        return total

    def stop(self):
        stop(self.process)


def stat(process):
    try:
        with open(f"/proc/{process}/stat") as file:
            text = file.read()
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def stop(process):
    for deadly in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, deadly)
            process.wait(3)
            return
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def wait_for(port):
    end = time.time() + 20
    while time.time() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    sys.exit(f"nobody listens on port {port}")


UNITS = {"us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4}


def milliseconds(text):
    number, unit = re.match(r"([\d.]+)([a-z]+)", text).groups()
    return float(number) * UNITS[unit]


def load(place, gateway, scenario, seconds):
    """Asks as the scenario has it: how many were answered, how many were not, and the median and the 99th percentile of time."""
    tls = scenario.get("tls")
    base = f"https://127.0.0.1:{gateway.tls_port}" if tls else f"http://127.0.0.1:{gateway.port}"
    headers = [part for header in gateway.headers + scenario.get("headers", []) for part in ("-H", header)]
    connections, url = str(scenario["connections"]), base + scenario["path"]
    pinned = ["taskset", "-c", place.load_core]
    if scenario.get("streams") or scenario.get("rate"):
        streams, rate = scenario.get("streams"), scenario.get("rate")
        how = ["-m", str(streams)] if streams else ["--h1", f"--rps={rate / scenario['connections']}"]
        times = place.path("times")
        if os.path.exists(times):
            os.remove(times)
        command = ["h2load", "-t1", "-c", connections, *how, "-D", str(seconds), "--warm-up-time=0", f"--log-file={times}"]
        told = subprocess.run([*pinned, *command, *headers, url], capture_output=True, text=True, timeout=seconds + 60).stdout
        done, succeeded = map(int, re.search(r"(\d+) done, (\d+) succeeded", told).groups())
        # A line is when it began, the status, and how many microseconds it took.
        took = sorted(int(line.split()[2]) / 1000 for line in open(times))
        percentile = lambda which: took[min(len(took) * which // 100, len(took) - 1)]
        return dict(served=succeeded, failed=done - succeeded, p50=percentile(50), p99=percentile(99))
    script = []
    if size := scenario.get("post"):
        text = f'wrk.method = "POST"\nwrk.body = string.rep("x", {size})\n'
        script = ["-s", place.write(f"post{size}.lua", text)]
    command = ["wrk", "-t1", "-c", connections, "-d", f"{seconds}s", "--latency", *script, *headers, url]
    told = subprocess.run(pinned + command, capture_output=True, text=True, timeout=seconds + 60).stdout
    failed = sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", told))
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    percentile = lambda which: milliseconds(re.search(rf"\s{which}%\s+(\S+)", told)[1])
    return dict(
        served=int(re.search(r"(\d+) requests in", told)[1]),
        failed=failed + (int(refused[1]) if refused else 0),
        p50=percentile(50),
        p99=percentile(99),
    )


def measure(place, gateway, scenario, seconds):
    before, begun = gateway.seconds(), time.time()
    result = load(place, gateway, scenario, seconds)
    elapsed, after = time.time() - begun, gateway.seconds()
    user, kernel = after[0] - before[0], after[1] - before[1]
    spent = max(user + kernel, 1 / TICKS)
    result.update(
        per_second=result["served"] / spent,
        user=user / spent,
        busy=spent / elapsed,
        memory=gateway.memory() / 1024,
    )
    return result


def compare(place, running, name, rounds, seconds):
    scenario = SCENARIOS[name]
    base, others = running[BASE], [gateway for gateway in running.values() if gateway.name != BASE]
    results = {gateway: [] for gateway in running}
    ratios = {gateway: [] for gateway in running}
    for gateway in running.values():
        load(place, gateway, scenario, 1)  # what is done once is done
    for turn in range(rounds):
        random.Random(turn).shuffle(others)
        before = measure(place, base, scenario, seconds)
        results[BASE].append(before)
        for gateway in others:
            result = measure(place, gateway, scenario, seconds)
            after = measure(place, base, scenario, seconds)
            mean = (before["per_second"] + after["per_second"]) / 2
            ratios[gateway.name].append(result["per_second"] / mean)
            results[gateway.name].append(result)
            results[BASE].append(after)
            before = after
    ratios[BASE] = [1.0]
    tell(name, scenario, results, ratios)
    return {gateway: dict(ratios=ratios[gateway], runs=results[gateway]) for gateway in running}


def tell(name, scenario, results, ratios):
    size = scenario.get("size", 0)
    print(f"\n{name}: {scenario['connections']} connections, {scenario['path']}")
    head = f"{'':20}{'ratio':>7} {'least':>6} {'most':>6} {'req/CPU s':>10} {'user':>5} {'busy':>5}"
    print(f"{head} {'p50 ms':>7} {'p99 ms':>7} {'MiB':>6} {'GB/CPU s':>9} {'failed':>6}")
    for gateway in sorted(ratios, key=lambda gateway: -statistics.median(ratios[gateway])):
        ratio, runs = ratios[gateway], results[gateway]
        median = lambda key: statistics.median(run[key] for run in runs)
        print(
            f"{gateway:20}{statistics.median(ratio):7.2f} {min(ratio):6.2f} {max(ratio):6.2f}"
            f" {median('per_second'):10.0f} {median('user'):5.0%} {median('busy'):5.0%}"
            f" {median('p50'):7.2f} {median('p99'):7.2f} {median('memory'):6.0f}"
            f" {median('per_second') * size / 1e9:9.2f} {sum(run['failed'] for run in runs):6}",
            flush=True,
        )


def memory(place, running, connections=1000):
    """What a gateway takes before the first request, for each connection that has had one answer and waits for the next
    question, and while all of them ask at once."""
    print(f"\n{'':20}{'idle MiB':>9} {'KiB/connection':>15} {f'{connections} busy MiB':>15}")
    for gateway in running.values():
        head = "".join(f"{header}\r\n" for header in gateway.headers)
        asked = f"GET / HTTP/1.1\r\nhost: localhost\r\n{head}\r\n".encode()
        before, sockets = gateway.memory(), []
        for _ in range(connections):
            client = socket.create_connection(("127.0.0.1", gateway.port))
            client.sendall(asked)
            client.recv(4096)
            sockets.append(client)
        time.sleep(SETTLED)
        idle = gateway.memory()
        for client in sockets:
            client.close()
        scenario = dict(SCENARIOS["c1000"], connections=connections)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asking = pool.submit(load, place, gateway, scenario, 4)
            time.sleep(2)
            busy = gateway.memory()
            asking.result()
        each = (idle - before) / connections
        print(f"{gateway.name:20}{before / 1024:9.1f} {each:15.1f} {busy / 1024:15.1f}", flush=True)


# After so many seconds a gateway has let go of what only requests need.
SETTLED = 5


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="gateways besides nginx, with commas between them")
    parser.add_argument("--scenarios", default=",".join(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=1)
    parser.add_argument("--work", required=True, help="a folder for programs, configurations and logs")
    parser.add_argument("--proxy-core", default="0")
    parser.add_argument("--load-core", default="1")
    parser.add_argument("--json", help="a file for all that was measured")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--latency", type=int, metavar="RATE")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    names = [BASE, *(options.only.split(",") if options.only else gateways.USUAL)]
    place, running, measured = Place(options), {}, {}
    try:
        for name in dict.fromkeys(names):
            program = gateways.ALL[name].program(place)
            if not shutil.which(program):
                print(f"without {name}: there is no {program}")
                continue
            running[name] = Running(name, place)
        if options.memory:
            memory(place, running)
        elif options.latency:
            SCENARIOS["rate"] = dict(connections=64, path="/", rate=options.latency)
            measured["rate"] = compare(place, running, "rate", options.rounds, options.seconds)
        else:
            for name in options.scenarios.split(","):
                measured[name] = compare(place, running, name, options.rounds, options.seconds)
        if options.json:
            with open(options.json, "w") as file:
                json.dump(measured, file)
        print(f"\nload average {os.getloadavg()[0]:.1f}")
    finally:
        for gateway in running.values():
            gateway.stop()
        stop(place.origin)


if __name__ == "__main__":
    main()
