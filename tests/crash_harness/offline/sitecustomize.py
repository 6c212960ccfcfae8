"""Keeps every Python process that finds this on its path from the network, and writes down what it tried.

An audit hook hears connections and look-ups before they are made, whatever library makes them, and cannot be taken off
again. Processes inherit it with ``PYTHONPATH``; ``DISGORGE_TOLD`` is the file that it writes to, one JSON list a line;
where a process is given no such variable, the file ``told`` beside this one names it.
"""

import json
import os
import sys
from typing import Any

NETWORK = {
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo", "socket.gethostbyname",
    "socket.gethostbyaddr", "socket.getnameinfo",
}  # fmt: skip
"""What reaches out. Binding does not: libraries bind to look whether there is IPv6."""
_BESIDE = os.path.join(os.path.dirname(__file__), "told")


def _file() -> str:
    if "DISGORGE_TOLD" in os.environ:
        return os.environ["DISGORGE_TOLD"]
    with open(_BESIDE, encoding="utf-8") as named:
        return named.read()


_told = os.open(_file(), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in NETWORK:
        _tell(event, *(str(argument) for argument in arguments))
        raise OSError(f"no network here: {event} {arguments}")
    if event == "subprocess.Popen":
        _tell(event, str(arguments[0]), *(str(argument) for argument in arguments[1]))


def _tell(*words: str) -> None:
    os.write(_told, json.dumps(words).encode() + b"\n")


SWITCHES = ("MLFLOW_DISABLE_TELEMETRY", "DVC_NO_ANALYTICS", "GX_ANALYTICS_ENABLED")
"""What keeps libraries from reporting their use; noted as a process begins with them."""

_tell("process", *sys.orig_argv)
_tell("switches", *(os.environ.get(switch, "") for switch in SWITCHES), *sys.orig_argv)
sys.addaudithook(_hear)
