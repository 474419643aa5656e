"""``python -m tradewind.local.sagemaker``: what the command ``sagemaker-local serve`` was before.

It starts that command with the same arguments, in its own place.
"""

from __future__ import annotations

import os
import sys

from tradewind.errors import SetupError
from tradewind.local.system import find_program, find_systems

if __name__ == "__main__":
    try:
        find_systems()["sagemaker"].check()
        program = find_program("sagemaker-local", system="sagemaker", remedy="")
    except SetupError as error:
        sys.exit(f"error: {error}")
    # Any free port was the default here.
    os.execv(program, [program, "serve", "--port=0", *sys.argv[1:]])  # noqa: S606
