"""`python -m operations VERB …`: what people do with a stack, as the scripts start it."""

import sys

from operations.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
