"""`python -m ocppress_gateway` is `ocppress`."""

from __future__ import annotations

import sys

from ocppress_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
