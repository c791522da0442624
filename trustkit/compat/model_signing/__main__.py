"""``python -m trustkit.compat.model_signing``: the reference's command line."""

from trustkit.compat.model_signing.main import run

if __name__ == "__main__":
    run()
