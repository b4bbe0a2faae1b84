"""Has the shell of a host run a script."""

from tools.hostlab.host import Host


def shell(host: Host, script: str) -> None:
    host.exec(["sh", "-c", script], check=True)
