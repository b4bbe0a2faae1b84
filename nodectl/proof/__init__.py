"""`nodectl proof`: shows that a deployment does what its stack file says, or says what does not hold."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from nodectl.manifest import ProofSpec
from nodectl.proof.proving import prove
from nodectl.proof.report import explain, render


def main(argv: Sequence[str]) -> int:
    """Read a ProofSpec on standard input, print the ProofResult on standard output, and return the exit code.

    0: proved; 1: a check does not hold; 2: bad input; 3: the time ran out.
    """
    parser = argparse.ArgumentParser(prog="nodectl proof", description=main.__doc__)
    parser.add_argument("--human", action="store_true", help="print a table instead of JSON")
    options = parser.parse_args(argv)
    try:
        spec = ProofSpec.model_validate_json(sys.stdin.buffer.read())
    except ValidationError as error:
        for problem in error.errors(include_url=False, include_input=False):
            key = ".".join(map(str, problem["loc"])) or "standard input"
            _tell(f"{key}: {problem['msg']}; nodectl proof reads a ProofSpec of its own version")
        return 2
    proof = asyncio.run(prove(spec, _tell))
    print(render(proof.result) if options.human else proof.result.model_dump_json())
    if proof.result.ok:
        return 0
    _tell(explain(spec, proof.result, proof.blame))
    return 3 if proof.timed_out else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
