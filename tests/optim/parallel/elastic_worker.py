"""``eigensam train``, of which one process is killed in mid-epoch the first time that it is started."""

import os
import sys

from trainings import COMMAND, at_step, dropping_settings, kill

from eigensam.cli import main

dropping_settings()
if os.environ["TORCHELASTIC_RESTART_COUNT"] == "0" and os.environ["RANK"] == "1":
    at_step(8, kill)
sys.argv = ["eigensam", "train", *COMMAND, "--save-minutes", "0", "--out", sys.argv[1], "--device", "cpu"]
main()
