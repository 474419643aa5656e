"""``python -m sagemaker_local.trainer JOBDIR``."""

import sys
from pathlib import Path

from sagemaker_local.trainer.run import main

if len(sys.argv) != 2:
    sys.exit("usage: python -m sagemaker_local.trainer JOBDIR")
sys.exit(main(Path(sys.argv[1])))
