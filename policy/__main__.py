"""Entry point of the policy pack: makes the project importable from any folder, then serves."""

import io
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    # The SDK (1.21) tells the engine its port without flushing, and the engine waits for it without end.
    unbuffered = io.FileIO(sys.stdout.fileno(), "wb", closefd=False)
    sys.stdout = io.TextIOWrapper(unbuffered, write_through=True)

    from policy.pack import main

    main()
