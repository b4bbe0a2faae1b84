"""`nodectl proof`: shows that a deployment does what its stack file says, or says what does not hold."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from nodectl.common.commandline import CommandLine
from nodectl.contract import codec, documents
from nodectl.proof.proving import prove
from nodectl.proof.report import explain, render
from nodectl.rollout.deregister import retire


def main(argv: Sequence[str]) -> int:
    """Prove what the spec on standard input wants proved, and print the result as JSON."""
    parser = CommandLine(prog="nodectl proof", description=main.__doc__)
    parser.add_argument(
        "--retire",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="first take workers that left the plan out of the registry",
    )
    parser.add_argument("--human", action="store_true", help="print a table instead")
    options = parser.parse_args(argv)
    spec = documents.proof_spec(sys.stdin.read())
    if options.retire:
        retire(spec)
    proof = asyncio.run(prove(spec, _tell))
    print(render(proof.result) if options.human else codec.written(proof.result))
    if proof.result.ok:
        return 0
    _tell(explain(spec, proof.result, proof.blame))
    return 3 if proof.timed_out else 1


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
