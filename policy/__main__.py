"""Entry point of the policy pack: makes the project importable wherever Pulumi runs it, then serves."""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

if __name__ == "__main__":
    from policy.pack import main

    main()
