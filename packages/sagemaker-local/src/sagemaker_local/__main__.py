"""``python -m sagemaker_local``: the same as the command ``sagemaker-local``."""

import sys

from sagemaker_local.cli import main

sys.exit(main())
