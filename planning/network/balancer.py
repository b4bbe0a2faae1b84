"""HAProxy's configuration: one address for clients, several frontends behind it.

A frontend that stops says so first (`nodectl.verbs.gate` answers 404 to the checks): requests under way go
on, new ones go elsewhere. What still meets a frontend that is gone is sent again to another one.
"""

from collections.abc import Mapping
from typing import Final

from settings.ports import PortSettings

FILE: Final = "haproxy.cfg"

# srvtcpka: a frontend whose host lost its power is noticed after a minute, however long answers may take.
# close-spread-time: a worker that is replaced answers on connections that clients keep before it closes them.
# abortonclose: a client that leaves before its answer begins takes its request from the worker, too.
# bufsize: a request can be sent again as long as it fits, so that most prompts can.
_TEMPLATE: Final = """\
global
    log stdout format raw daemon
    stats socket unix@balancer/admin.sock mode 600 level admin expose-fd listeners
    fd-hard-limit 20000
    tune.bufsize 65536
    hard-stop-after 1h
    close-spread-time infinite

defaults
    mode http
    log global
    option httplog
    option dontlog-normal
    option http-ignore-probes
    option abortonclose
    option http-no-delay
    option http-server-close
    option srvtcpka
    srvtcpka-idle 30s
    srvtcpka-intvl 10s
    srvtcpka-cnt 3
    timeout connect 2s
    timeout http-request 30s
    timeout http-keep-alive 60s
    timeout client 1h
    timeout server 1h
    timeout check 5s

frontend clients
    bind {address}:{port}
    default_backend frontends

backend frontends
    balance leastconn
    option redispatch 1
    retries 3
    retry-on conn-failure empty-response 503
    option httpchk
    http-check send meth GET uri /health ver HTTP/1.1 hdr Host balancer
    http-check disable-on-404
    default-server check port {gate} inter 500ms fall 3 rise 1 init-addr last,libc,none
"""


def configuration(address: str, frontends: Mapping[str, str], ports: PortSettings) -> str:
    """Return the text for a balancer at `address` before `frontends`, node name to address."""
    servers = [f"    server {node} {host}:{ports.balanced_frontend}\n" for node, host in frontends.items()]
    return _TEMPLATE.format(address=address, port=ports.frontend, gate=ports.gate) + "".join(servers)
