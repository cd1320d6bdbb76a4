"""What can go wrong on one rank. Each is called there before nascli starts, and changes what will happen later."""

import os
import signal
from pathlib import Path

from nascli.artifacts.runs import rundir
from nascli.core.engine import destination, loop, search
from nascli.errors import DataError

SIGNAL = "now"
"""The file that asks for a signal to all ranks."""


def kill(*_arguments, **_settings):
    os.kill(os.getpid(), signal.SIGKILL)


def at_step(number, act):
    """Before a step, counted from 1, do something with the job of the search."""
    step, steps = search.SearchJob.step, iter(range(1, 1000))

    def changed(self):
        if next(steps) == number:
            act(self)
        return step(self)

    search.SearchJob.step = changed


def killed_while_data_is_read():
    search.open_data = kill


def killed_in_a_step():
    at_step(3, kill)


def killed_at_the_end_of_an_epoch():
    end = loop._Progress._end_epoch

    def changed(self, epoch, *rest):
        if epoch == 2:
            kill()
        end(self, epoch, *rest)

    loop._Progress._end_epoch = changed


def killed_while_the_second_checkpoint_is_written():
    write, times = rundir.write_atomically, iter(range(1, 1000))

    def changed(path, data):
        if path.name == rundir.CHECKPOINT and next(times) == 2:
            (path.parent / ".nascli-half.tmp").write_bytes(data[: len(data) // 2])
            kill()
        write(path, data)

    rundir.write_atomically = changed


def killed_while_the_result_is_written():
    destination.write_output = kill


def hangs():
    at_step(3, lambda _job: os.kill(os.getpid(), signal.SIGSTOP))


def asks_for_a_signal():
    at_step(3, lambda _job: Path(SIGNAL).touch())


def without_memory():
    def refuse(_job):
        raise MemoryError

    at_step(3, refuse)


def without_pictures():
    def refuse(*_arguments, **_settings):
        raise DataError("/images: there are no pictures")

    search.open_data = refuse


def with_a_poisoned_batch():
    at_step(3, _poison)


def _poison(job):
    stream = job._streams["train"]
    draw = stream.next

    def poisoned(*arguments):
        images, labels = draw(*arguments)
        return images * float("nan"), labels

    stream.next = poisoned


def with_another_weight():
    at_step(3, lambda job: next(job.method.network.parameters()).data.mul_(1.001))
