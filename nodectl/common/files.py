"""Files: written so that any reader, after a crash too, sees old content or new; read with bounds."""

import errno
import os
import stat
from pathlib import Path


def write_atomically(path: Path, text: str, *, mode: int = 0o644, owner: int | None = None) -> None:
    """Replace `path` by `text`; the content is never readable by more than `mode` says.

    The file is this process's user's, or that of the user whose number is `owner`.
    """
    draft = path.with_name(f"{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        if owner is not None:
            os.fchown(file.fileno(), owner, -1)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_if_there(path: Path) -> str | None:
    """Return the file's text, None when there is no such file."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None


def read_regular(path: Path, limit: int) -> bytes:
    """Return a file's content, at most one byte more than `limit`.

    Raises OSError for what is no regular file: a pipe waits for a writer, and a device never ends.
    """
    if not path.is_dir() and not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "Not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(limit + 1)
