"""A passphrase of the tests' own: the documented one protects no secret of other machines."""

from typing import Final

OWN: Final = "of the tests"
OWN_SALT: Final = "v1:KrtZ1r4F7hU=:v1:10d5Gth/JvTuclEI:4fuNp39fKXdenOt7bGg4CIZCKJ0xkQ=="
"""A salt of it, so that stack files do not change when stacks are made."""
