"""Starts a program once per rank on this host, with the environment that torchrun sets, and communicates with it.

torchrun gives its workers no standard input. Here every rank reads the same lines, and rank 0 answers each line with a
number. The ranks run until close(); none outlives this process, however that ends.
"""

import ctypes
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1
ANSWER_WITHIN = 1200  # seconds; compiling a model takes minutes
END_WITHIN = 20  # seconds


class RanksFailed(Exception):
    """The message is one line; `errors` is the end of what the failed rank wrote to standard error."""

    def __init__(self, message, errors=""):
        super().__init__(message)
        self.errors = errors


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end_by_signals():
    """Lets signals unwind the stack, so that the ranks are ended."""

    def leave(number, _):
        raise SystemExit(128 + number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, leave)


class Ranks:
    def __init__(self, command, count):
        self.processes, self.errors, self.unread = [], [], b""
        shared = {
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": free_port(),
            "WORLD_SIZE": count,
            "LOCAL_WORLD_SIZE": count,
        }
        try:
            for rank in range(count):
                own = {name: str(value) for name, value in (shared | {"RANK": rank, "LOCAL_RANK": rank}).items()}
                self.errors.append(tempfile.TemporaryFile())
                self.processes.append(
                    subprocess.Popen(
                        command,
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE if rank == 0 else subprocess.DEVNULL,
                        stderr=self.errors[rank],
                        env=os.environ | own,
                        bufsize=0,
                        start_new_session=True,
                        preexec_fn=die_with_parent,
                    )
                )
        except OSError as error:
            self.kill()
            raise RanksFailed(str(error)) from error
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            self.kill()

    def ask(self, line):
        """Writes the line to every rank and returns the number that rank 0 answers."""
        try:
            for process in reversed(self.processes):  # rank 0 measures the time, so it starts last
                process.stdin.write(f"{line}\n".encode())
        except BrokenPipeError:
            raise self.failure() from None
        return self.next_number()

    def next_number(self):
        deadline = time.monotonic() + ANSWER_WITHIN
        pipe = self.processes[0].stdout
        while True:
            while b"\n" in self.unread:
                line, self.unread = self.unread.split(b"\n", 1)
                try:
                    return float(line)
                except ValueError:
                    pass  # libraries print their version to standard output
            if select.select([pipe], [], [], 0.2)[0]:
                part = pipe.read(4096)
                if not part:
                    raise self.failure()
                self.unread += part
            elif any(process.poll() is not None for process in self.processes):
                raise self.failure()
            elif time.monotonic() > deadline:
                raise RanksFailed(f"no answer within {ANSWER_WITHIN} s")

    def failure(self):
        """Why a rank has ended: the last line that the first failed rank wrote to standard error."""
        self.wait(END_WITHIN, any)
        codes = [process.poll() for process in self.processes]
        ended = [rank for rank, code in enumerate(codes) if code is not None]
        rank = next((rank for rank in ended if codes[rank] != 0), ended[0] if ended else 0)
        self.errors[rank].seek(0)
        lines = self.errors[rank].read().decode(errors="replace").strip().splitlines()
        last = lines[-1] if lines else f"rank {rank} ended with exit code {codes[rank]}"
        return RanksFailed(last, "\n".join(lines[-40:]))

    def wait(self, seconds, which):
        """Waits until any or all of the ranks have ended."""
        deadline = time.monotonic() + seconds
        while not which(process.poll() is not None for process in self.processes) and time.monotonic() < deadline:
            time.sleep(0.02)

    def close(self):
        """Closes standard input, which makes the ranks exit, and kills those that do not."""
        for process in self.processes:
            process.stdin.close()
        try:
            self.wait(END_WITHIN, all)
        finally:
            self.kill()

    def kill(self):
        for process in self.processes:
            try:
                os.killpg(process.pid, signal.SIGKILL)  # including the processes that compile for it
            except ProcessLookupError:
                pass
            process.wait()
        for file in self.errors:
            file.close()
        self.processes, self.errors = [], []
