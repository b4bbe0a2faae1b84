"""The cache of installs on a machine, once per user: `${XDG_CACHE_HOME:-~/.cache}/dynamo-multinode`.

`env/` the environments, named after their lock files: another set of versions is another environment;
`models/` the models; `stores/` releases of NATS and etcd; `images/` which images were seen to start; `uv/`
uv, where a node has none. It imports little: every verb on a host begins here.
"""

import os
import sys
from pathlib import Path
from typing import Final

from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.redaction import shown
from nodectl.versions import VARIANTS, lock_digest

PYTHONS: Final = ((3, 11), (3, 12), (3, 13))
"""Releases of Python that ai-dynamo, vLLM and NIXL all ship wheels for."""


def folder() -> Path:
    """Return the folder that holds everything that an install makes."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dynamo-multinode"


def environments() -> Path:
    """Return the folder of all environments."""
    return folder() / "env"


def environment(variant: str, version: tuple[int, int] = sys.version_info[:2]) -> Path:
    """Return the folder of `variant`'s environment for a Python, that which runs this; installed or not."""
    return environments() / f"{variant}-py{version[0]}.{version[1]}-{lock_digest(variant)}"


def python(variant: str) -> Path:
    """Return the Python of `variant`'s environment."""
    return environment(variant) / "bin" / "python"


def installed_python(variant: str) -> Path:
    """Return the Python of an environment of `variant` that is complete.

    That is rather the one for the Python that runs this, but a host may have got another Python since.
    Raises `BadInputError` for an unknown variant, `NodectlError` where there is none.
    """
    if variant not in VARIANTS:
        raise BadInputError(
            f"variant: {shown(variant) or 'none'} is unknown; use one of {', '.join(VARIANTS)}"
        )
    for version in dict.fromkeys([sys.version_info[:2], *reversed(PYTHONS)]):
        if is_complete(environment(variant, version)):
            return environment(variant, version) / "bin" / "python"
    raise NodectlError(
        f"{environment(variant)}: the {variant} environment is not here; `nodectl install` makes it"
    )


def is_complete(environment: Path) -> bool:
    """Return whether an environment was made to its end."""
    return marker(environment).is_file() and (environment / "bin" / "python").is_file()


def marker(environment: Path) -> Path:
    """Return the file that is written last: an environment without it is made anew.

    It is as old as the last time that the environment was asked for.
    """
    return environment / ".complete"


def models() -> Path:
    """Return the folder of the models."""
    return folder() / "models"


def s3_models() -> Path:
    """Return the folder of the models from S3, each below its bucket: `${s3}` in manifests."""
    return models() / "s3"


def stores() -> Path:
    """Return the folder of the releases of NATS and etcd."""
    return folder() / "stores"
