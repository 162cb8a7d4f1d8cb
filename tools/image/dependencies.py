"""Prints the dependencies that a pyproject.toml declares, one a line: the image installs them in a
layer of their own, which a change of the source leaves as it is."""

import sys
import tomllib
from pathlib import Path


def main() -> None:
    """Reads the file named on the command line."""
    project = tomllib.loads(Path(sys.argv[1]).read_text())["project"]
    print("\n".join(project["dependencies"]))


if __name__ == "__main__":
    main()
