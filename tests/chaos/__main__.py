"""`python -m tests.chaos --seconds N`."""

import sys

if __name__ == "__main__":
    from tests.chaos.command_line import main

    sys.exit(main(sys.argv[1:]))
