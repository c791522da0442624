"""``python -m trustkit.store``."""

from __future__ import annotations

from trustkit.store.main import run

if __name__ == "__main__":
    run()
