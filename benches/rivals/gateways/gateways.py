"""The gateways that are compared, and how each is told to do the same: one worker, connections kept on both sides, no log."""

import os
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Gateway:
    """How to start a gateway."""

    program: Callable
    command: Callable
    environment: dict = field(default_factory=dict)
    headers: list = field(default_factory=list)
    core: str = None


def nginx(name, location="", workers=1, listen="", **rest):
    def command(place, port, tls_port):
        folders = "\n".join(
            f"  {kind}_temp_path {place.path(name + '-' + kind)};"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        file = place.write(
            f"{name}.conf",
            f"""
worker_processes {workers}; daemon off; user root; worker_rlimit_nofile 16384;
pid {place.path(name)}.pid; error_log {place.path(name)}.err crit;
events {{ worker_connections 16384; }}
http {{
{folders}
  access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s;
  client_max_body_size 0; client_body_buffer_size 128k;
  ssl_certificate {place.certificate}; ssl_certificate_key {place.key}; ssl_protocols TLSv1.2 TLSv1.3;
  http2_max_requests 1000000000; http2_max_concurrent_streams 256;
  upstream origin {{
    server 127.0.0.1:{place.origin_port};
    keepalive 2048; keepalive_requests 1000000000; keepalive_timeout 3600s;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096 {listen}; listen 127.0.0.1:{tls_port} ssl http2 backlog=4096 {listen};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_max_temp_file_size 0; {location}
    }}
  }}
}}
""",
        )
        return ["nginx", "-c", file]

    return Gateway(lambda place: "nginx", command, **rest)


def haproxy(name, options=""):
    def command(place, port, tls_port):
        file = place.write(
            f"{name}.cfg",
            f"""
global
  nbthread 1
  maxconn 6000
  ssl-default-bind-options ssl-min-ver TLSv1.2
  tune.pool-low-fd-ratio 90
  tune.pool-high-fd-ratio 95
defaults
  mode http
  timeout connect 5s
  timeout client 3600s
  timeout server 3600s
  option http-keep-alive
{options}
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  bind 127.0.0.1:{tls_port} ssl crt {place.path('both.pem')} alpn h2,http/1.1
  default_backend origin
backend origin
  http-reuse always
  server origin 127.0.0.1:{place.origin_port} pool-max-conn 4096 pool-purge-delay 3600s
""",
        )
        return ["haproxy", "-db", "-f", file]

    return Gateway(lambda place: "haproxy", command)


def pingora():
    program = lambda place: place.path("pingora")

    def command(place, port, tls_port):
        origin = f"127.0.0.1:{place.origin_port}"
        return [program(place), str(port), origin, str(tls_port), place.certificate, place.key]

    return Gateway(program, command)


# A token without an end, and the secret that signs it.
SECRET = "a-secret-of-a-bench-and-of-nobody-else"
TOKEN = (
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"
    ".eyJzdWIiOiJiZW5jaCIsImV4cCI6NDEwMjQ0NDgwMH0"
    ".{signature}"
)


def token():
    import base64
    import hashlib
    import hmac

    signed = TOKEN.rsplit(".", 1)[0]
    digest = hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).digest()
    return TOKEN.format(signature=base64.urlsafe_b64encode(digest).rstrip(b"=").decode())


PLAIN = """
[upstream.origin]
replica = [{{ name = 'origin', url = 'http://127.0.0.1:{origin}' }}]
pool = {{ max_idle = 4096, idle_timeout = '1h' }}

[[route]]
path = '/'
upstream = 'origin'
"""

# What a gateway does that is more than a cable: tokens, headers, a limit for each address (of which there is one, and which
# is never reached), a circuit, two replicas, the log, and metrics, which are always counted.
STACK = """
issuer.bench = {{ keys = [{{ secret = '{secret}', algorithms = ['HS256'] }}] }}
limit.address = {{ key = 'address', rate = {{ quota = '1000000/s burst 1000000' }} }}
edge.rate_limit = ['address']

[upstream.origin]
replica = [
    {{ name = 'first', url = 'http://127.0.0.1:{origin}' }},
    {{ name = 'second', url = 'http://127.0.0.1:{origin}' }},
]
pool = {{ max_idle = 4096, idle_timeout = '1h' }}
circuit_breaker = {{ consecutive_failures = 5 }}

[[route]]
path = '/'
upstream = 'origin'
jwt_auth = {{ issuers = ['bench'] }}
header_inject = {{ request = [
    {{ set = 'x-first', value = 'one' }},
    {{ set = 'x-second', value = 'two' }},
    {{ set = 'x-third', value = 'three' }},
    {{ set = 'x-fourth', value = 'four' }},
] }}
"""

SIGNED = """
credentials.bench = {{ access_key = 'AKIAIOSFODNN7EXAMPLE', secret_key = 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' }}

[upstream.origin]
replica = [{{ name = 'origin', url = 'http://127.0.0.1:{origin}' }}]
pool = {{ max_idle = 4096, idle_timeout = '1h' }}
sigv4_sign = {{ service = 's3', region = 'us-east-1', credentials = 'bench' }}

[[route]]
path = '/'
upstream = 'origin'
"""


def portcullis(name, routes, log="off", workers=1, profiled=False, **rest):
    usual = None if profiled else os.environ.get("PORTCULLIS")
    program = lambda place: usual or place.path("portcullis-pgo" if profiled else "portcullis")

    def command(place, port, tls_port):
        tls = f"{{ certificate = '{place.certificate}', key = '{place.key}' }}"
        file = place.write(
            f"{name}.toml",
            f"""
workers = {workers}
log = {{ level = '{log}', format = 'json' }}
listener = [
    {{ address = '127.0.0.1:{port}' }},
    {{ address = '127.0.0.1:{tls_port}', tls = {tls} }},
]
"""
            + routes.format(origin=place.origin_port, secret=SECRET),
        )
        return [program(place), "run", "--config", file]

    return Gateway(program, command, **rest)


STACKED = dict(routes=STACK, log="info", headers=[f"authorization: Bearer {token()}"])

ALL = {
    "nginx": nginx("nginx"),
    "nginx-big": nginx(
        "nginx-big",
        "proxy_buffer_size 16k; proxy_buffers 8 128k; proxy_busy_buffers_size 256k; proxy_request_buffering off;",
    ),
    # Says what the gateway says in any case: who the client is, how it came, and the id of the request.
    "nginx-alike": nginx(
        "nginx-alike",
        "proxy_set_header X-Request-ID $request_id; add_header X-Request-ID $request_id always;"
        " proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme;"
        " proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Forwarded-Port $server_port;",
    ),
    # What two workers cost on two cores of which the load has one, whoever's they are.
    "nginx-two": nginx("nginx-two", workers=2, listen="reuseport", core="0,1"),
    "haproxy": haproxy("haproxy"),
    "haproxy-splice": haproxy("haproxy-splice", "  option splice-response\n  option splice-request\n"),
    "pingora": pingora(),
    "portcullis": portcullis("portcullis", PLAIN),
    "portcullis-stack": portcullis("portcullis-stack", **STACKED),
    "portcullis-signed": portcullis("portcullis-signed", SIGNED),
    # What may be compressed is read, also where nothing is compressed.
    "portcullis-read": portcullis("portcullis-read", PLAIN + "compression = {{}}\n"),
    "portcullis-pgo": portcullis("portcullis-pgo", PLAIN, profiled=True),
    "portcullis-pgo-stack": portcullis("portcullis-pgo-stack", profiled=True, **STACKED),
    "portcullis-two": portcullis("portcullis-two", PLAIN, workers=2, core="0,1"),
}

USUAL = ["nginx-big", "haproxy", "haproxy-splice", "pingora", "portcullis", "portcullis-stack", "portcullis-signed"]
