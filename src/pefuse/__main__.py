"""`python -m pefuse`: the same as the command `pefuse`."""

from __future__ import annotations

from pefuse.cli import main

if __name__ == "__main__":
    main()
