"""Entry point: makes the project importable whatever the working directory is, then serves."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[3])

if __name__ == "__main__":
    from tests.aws.standin.server import main

    main()
