"""``python -m trustkit.sidecar``."""

from __future__ import annotations

from trustkit.sidecar.main import run

if __name__ == "__main__":
    run()
