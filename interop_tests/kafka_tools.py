"""Apache Kafka's own command-line tools, and transcripts of what they print.

A transcript is a text of commands and their output. It is written with Apache Kafka
(`--target kafka --write-transcripts`) and must come out the same with kbroker: identifiers, times,
rates and addresses are masked, nothing else.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KAFKA = ROOT / "tools" / "apache-kafka" / "kafka"
TRANSCRIPTS = Path(__file__).resolve().parent / "transcripts"
TIMEOUT_S = 120
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
MASKS = (
    (r"(TopicId: )\S+", r"\1ID"),
    (UUID, "UUID"),
    (r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\]", "[TIME]"),
    (r'"timestamp":\d+', '"timestamp":TIME'),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d:\d{3}", "TIME"),
    (r"CreateTime:\d+", "CreateTime:TIME"),
    (r'"logDir":"[^"]*"', '"logDir":"DIRECTORY"'),
    (r"[ \t]+$", ""),
    (r"[ \t]+", " "),
)
"""What differs between two runs against the same broker. Columns are as wide as their contents."""


def why_no_tools() -> str | None:
    """What this machine lacks for Kafka's tools."""
    for program in ("java", "mvn"):
        if not shutil.which(program):
            return f"Apache Kafka's tools need {program}"
    return None


class Tools:
    """Runs tools against the broker at `address` and keeps what they print."""

    def __init__(self, address: str, directory: Path) -> None:
        self.transcript = ""
        self._address = address
        self._directory = directory

    def file(self, name: str, text: str) -> str:
        """A file for a tool to read; its path stands in the transcript as its name."""
        path = self._directory / name
        path.write_text(text)
        return str(path)

    def run(
        self,
        *command: str,
        stdin: str | None = None,
        masks: tuple[tuple[str, str], ...] = (),
        in_any_order: bool = False,
        bootstrap: str = "--bootstrap-server",
    ) -> str:
        """Runs one tool to its end and adds it to the transcript; what it printed.

        `masks` are more (pattern, replacement) for this command; `in_any_order` sorts the lines,
        where the tool prints a Java hash map.
        """
        done = subprocess.run(
            [str(KAFKA), command[0], bootstrap, self._address, *command[1:]],
            input=stdin if stdin is not None else "",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT_S,
            cwd=self._directory,
        )
        lines = self._masked(done.stdout, masks).splitlines()
        if in_any_order:
            lines.sort()
        shown = " ".join(command).replace(f"{self._directory}/", "")
        self.transcript += f"$ {shown}\n"
        if stdin is not None:
            self.transcript += "".join(f"< {line}\n" for line in stdin.splitlines())
        self.transcript += "".join(f"{line}\n" for line in lines)
        if done.returncode:
            self.transcript += f"[status {done.returncode}]\n"
        self.transcript += "\n"
        return done.stdout

    def _masked(self, text: str, masks: tuple[tuple[str, str], ...]) -> str:
        host, _, port = self._address.rpartition(":")
        text = text.replace(self._address, "HOST:PORT")
        text = re.sub(rf"\b{re.escape(host)}\b", "HOST", text)
        text = re.sub(rf"\b{port}\b", "PORT", text)
        for pattern, replacement in (*MASKS, *masks):
            text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
        # A stack trace tells of Java's sources, not of the broker.
        kept = [
            line for line in text.splitlines() if not re.match(r"\s+at |\s*\.\.\. \d+ more", line)
        ]
        return "\n".join(kept)


def transcript_path(name: str) -> Path:
    return TRANSCRIPTS / f"{name}.txt"
