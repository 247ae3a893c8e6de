"""TensorFlow's products are made ready once a process, in a thread that soon ends."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import threading
from ffnn import MLPClassifier
started = []
start = threading.Thread.start
threading.Thread.start = lambda self: (started.append(self), start(self))
for _ in range(2):
    MLPClassifier((4,), n_epochs=2).fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
(thread,) = (thread for thread in started if thread.name == "ffnn-warm-up")
thread.join(60)
assert not thread.is_alive()
"""


def test_a_process_warms_up_once_and_its_thread_ends():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
