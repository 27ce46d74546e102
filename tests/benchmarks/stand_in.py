#!/usr/bin/env python3
"""A stand-in for the contenders of benchmarks/scaling.py and for a Python with torch. HOW determines how it answers
steps.

stand_in.py HOW bench step --turns ...       stand_in.py HOW reducer ...
stand_in.py benchmarks/peers/ddp.py HOW ...  stand_in.py -c CODE
"""

import os
import pathlib
import sys
import time

rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
how = sys.argv[2] if sys.argv[1].endswith("ddp.py") else sys.argv[1]
if how == "-c":
    print("2.14.0", 4, "a GPU", sep="\n")
    sys.exit()
if how == "compiled" and rank == ranks - 1:
    print("a warning\nno compiler", file=sys.stderr)
    sys.exit(1)
if how == "hangs":
    pathlib.Path(os.environ["STAND_IN_PIDS"], str(os.getpid())).touch()
    time.sleep(600)
answers = 0
for _ in sys.stdin:
    if how == "compiled":
        time.sleep(600)  # like a collective with the failed rank
    if how == "graph" and answers == 2:
        sys.exit("the capture failed")
    answers += 1
    if rank == 0:
        print("a library's version")
        print((2 if how == "eager" else 1) * (1 + ranks / 10) / 1000, flush=True)
