"""`python -m emagram`, the same as the command `emagram`."""

import sys

from .hybrid.command_line import main

sys.exit(main())
