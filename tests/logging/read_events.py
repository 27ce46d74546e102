"""Prints what TensorBoard's own reader finds in a run's folder, a scalar a line: `tag step value`.

Exit code 77 where this Python has no tensorboard.
"""

import sys

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError:
    sys.exit(77)

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0})
events.Reload()
for tag in sorted(events.Tags()["scalars"]):
    for scalar in events.Scalars(tag):
        print(tag, scalar.step, f"{scalar.value:g}")
