"""``python -m tradewind.local.sagemaker.trainer JOBDIR``."""

import sys
from pathlib import Path

from tradewind.local.sagemaker.trainer.run import main

if len(sys.argv) != 2:
    sys.exit("usage: python -m tradewind.local.sagemaker.trainer JOBDIR")
sys.exit(main(Path(sys.argv[1])))
