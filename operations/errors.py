"""Failures of a verb, each as one message and an exit code: 2 for a wrong file or command, else 1."""

import subprocess
import sys
from collections.abc import Callable

from account.instance_power import PowerError
from nodectl.common.redaction import without_known_secrets
from operations.creating import NotAllowedError
from operations.state import EncryptedError
from remote.errors import NoAccessError
from settings.problems import StackFileError
from tools.toolchain.common import ToolchainError


class StackError(Exception):
    """The stack is not such that this can be done with it; the text says what to do."""


def reported(stack: str, work: Callable[[], int | None]) -> int:
    """Return the exit code of `work`, 0 where it returns none; what it fails with is said on standard error.

    A failed program has said itself what went wrong; its exit code is returned.
    """
    try:
        return work() or 0
    except StackFileError as error:
        print(error.of(stack), file=sys.stderr)
        return 2
    except (StackError, NotAllowedError, EncryptedError, PowerError, NoAccessError, ToolchainError) as error:
        print(without_known_secrets(str(error)), file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", end="", file=sys.stderr)
        return error.returncode
