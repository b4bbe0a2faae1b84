"""Writing files so that any reader, after a crash too, sees the old content or the new one."""

import os
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
