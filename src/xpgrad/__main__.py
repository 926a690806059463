"""The command ``python -m xpgrad``."""

import sys

from xpgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
