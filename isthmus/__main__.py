"""`python -m isthmus`: the same as the console script."""

from __future__ import annotations

from isthmus.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
