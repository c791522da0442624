"""``python -m trustkit.broker``."""

from __future__ import annotations

from trustkit.broker.main import run

if __name__ == "__main__":
    run()
