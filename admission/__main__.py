"""``python -m admission`` is ``trustkit-admission``."""

from admission.main import run

if __name__ == "__main__":
    run()
