"""`python -m tests.soak --seconds N` and `python -m tests.soak power-cuts --count N`."""

import sys

if __name__ == "__main__":
    from tests.soak.command_line import main

    sys.exit(main(sys.argv[1:]))
