"""The message of a failed rank for torchrun's own report, which is the last that it prints."""

import contextlib
import json
import os
import time
from pathlib import Path


def tell_torchrun(message: str) -> None:
    """Write the message where torchrun looks for it, if it looks: then its report repeats it instead of "<N/A>".

    The form is that of torch.distributed.elastic.multiprocessing.errors.ErrorHandler.record_exception (torch 2.11),
    with our line where that has a traceback.
    """
    file = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if not file or not message:
        return
    line = f"nascli: {message}"
    extra = {"py_callstack": line, "timestamp": str(int(time.time()))}
    with contextlib.suppress(OSError):  # the message has been printed, and this process is about to end
        Path(file).write_text(json.dumps({"message": {"message": line, "extraInfo": extra}}), encoding="utf-8")
