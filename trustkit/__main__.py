"""``python -m trustkit``: the same as ``trustkit``."""

from trustkit.cli.main import run

if __name__ == "__main__":
    run()
