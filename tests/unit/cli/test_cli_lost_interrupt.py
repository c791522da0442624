"""An interruption that Python drops, because it came inside a callback of Python's own, is not lost."""

import subprocess
import sys

PROGRAM = """
import signal, sys, time, weakref
from trustkit.cli import main

class Thing:
    pass

def told(_):
    signal.raise_signal(signal.SIGINT)   # as if Ctrl-C came while Python runs a weak reference's callback
    for _ in range(1000):
        pass

def attend(argv, environ, seen):
    thing = Thing()
    reference = weakref.ref(thing, told)
    del thing
    time.sleep(30)
    return 0

main._attend = attend
sys.argv = ["trustkit"]
main.run()
"""


def test_it_comes_again_at_once_and_says_one_line():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False, timeout=20
    )
    assert done.returncode == 130
    assert done.stderr == "trustkit: interrupted; nothing is left half-written [interrupted]\n"
