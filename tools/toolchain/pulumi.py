"""The Pulumi CLI with its Python language host: from PATH, from its site, or built from Go modules."""

import shutil
from pathlib import Path

from tools.toolchain import source
from tools.toolchain.common import Tool, dotted, made_whole, say, version_of
from tools.toolchain.release import BROKEN, Site

VERSION = "3.259.0"
"""The SDK's version (pyproject.toml); the newest whose sources the Go module proxy has."""


def ensure(cache: Path, path: str, uv: Path, site: Site) -> Tool:
    """Return a Pulumi CLI in the supported range; get one if there is none.

    `path` is the search path for the user's own. Raises ToolchainError if there is no way to get one.
    """
    if installed := _on_path(path):
        return installed
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
    """Return the user's own CLI if it is at least as new as the SDK and of the same major version."""
    program = shutil.which("pulumi", path=path)
    if program is None:
        return None
    minimum = tuple(map(int, VERSION.split(".")))
    version = version_of(program, "version")
    if version and version[0] == minimum[0] and version >= minimum:
        return Tool(Path(program), dotted(version), "on PATH")
    description = dotted(version) if version else "of no known version"
    say(f"not using {program}: it is {description}; this project needs {VERSION} or later {minimum[0]}.x")
    return None
