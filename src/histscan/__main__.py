"""``python -m histscan``: the same as the ``histscan`` command."""

import sys

from histscan.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
