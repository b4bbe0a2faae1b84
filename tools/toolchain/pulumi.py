"""The Pulumi CLI with its Python language host: on PATH, or from its site, or built from Go modules."""

import shutil
from pathlib import Path

from tools.toolchain import source
from tools.toolchain.common import Tool, dotted, made_whole, say, version_of
from tools.toolchain.release import BROKEN, Site

VERSION = "3.259.0"
"""The SDK's own (pyproject.toml); the newest of which the Go module proxy has the sources."""


def ensure(cache: Path, path: str, uv: Path, site: Site) -> Tool:
    """Return a Pulumi CLI in the supported range, getting it when there is none.

    `path` is the search path for the user's own. Raises ToolchainError when there is no way to get one.
    """
    if own := _on_path(path):
        return own
    home = cache / "pulumi" / VERSION
    program = home / "bin/pulumi"
    if home.exists():
        return Tool(program, VERSION, "cached")
    with made_whole(home) as partial:
        folder = partial / "bin"
        folder.mkdir()
        origin = "downloaded" if _download(site, folder) else "built"
        if origin == "built":
            source.build(VERSION, uv, folder, cache / "pulumi" / "build")
    return Tool(program, VERSION, origin)


def _download(site: Site, folder: Path) -> bool:
    digest = site.digest()
    if digest is None:
        return False
    say(f"downloading Pulumi {VERSION}: about 100 MB")
    try:
        site.download(digest, folder)
    except BROKEN as error:
        say(f"  the download broke off: {error}")
        site.avoid()
        return False
    return True


def _on_path(path: str) -> Tool | None:
    """Return the user's own CLI when it is at least as new as the SDK and of the same major version."""
    own = shutil.which("pulumi", path=path)
    if own is None:
        return None
    needed = tuple(map(int, VERSION.split(".")))
    found = version_of(own, "version")
    if found and found[0] == needed[0] and found >= needed:
        return Tool(Path(own), dotted(found), "on PATH")
    seen = dotted(found) if found else "of no known version"
    say(f"not using {own}: it is {seen}; this project needs {VERSION} or later {needed[0]}.x")
    return None
