# Runs torchrun with this script's arguments, suppresses its messages, and reports to trainyard how it ended.
# Compiled into trainyard and run by `python -c`.
import sys

sys.path = [folder for folder in sys.path if folder]  # a file in the working directory must not shadow a module

import json
import logging
import os


def tell(**outcome):
    """Appends a line to the file in the launcher's memory."""
    with open(os.environ["TRAINYARD_LAUNCHER"].split(" ", 1)[1], "a", encoding="utf-8") as file:
        file.write(json.dumps(outcome) + "\n")


given_level = os.environ.get("TORCH_CPP_LOG_LEVEL")
os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # read once, when torch is loaded
try:
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
except Exception as error:
    tell(missing=f"{type(error).__name__}: {error}")
    sys.exit(1)
if given_level is None:
    del os.environ["TORCH_CPP_LOG_LEVEL"]
else:
    os.environ["TORCH_CPP_LOG_LEVEL"] = given_level
logging.disable(logging.CRITICAL)

# In the arguments, torchrun replaces ${local_rank} by its value, and $$ by $.
options, command = sys.argv[1 : sys.argv.index("--no-python") + 2], sys.argv[sys.argv.index("--no-python") + 2 :]
try:
    run.run(run.parse_args([*options, *[word.replace("$", "$$") for word in command]]))
except ChildFailedError as failed:
    tell(failures=[[rank, failure.exitcode] for rank, failure in failed.failures.items()])
    sys.exit(1)
except Exception as error:
    tell(error=f"{type(error).__name__}: {error}")
    sys.exit(1)
