"""The installed command, and what starts it in two processes."""

import sys
from pathlib import Path

COMMAND = Path(sys.executable).with_name("srnn-train")
TORCHRUN = (COMMAND.with_name("torchrun"), "--standalone", "--nproc-per-node", "2")
