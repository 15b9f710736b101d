"""`python -m ccproxy`: the command without its script."""

import sys

from ccproxy.cli import main

if __name__ == "__main__":
    sys.exit(main())
