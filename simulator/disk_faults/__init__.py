"""The disk-fault matrix: every kind of file of a data directory, times every fault, times when.

Each cell is an experiment: a broker in virtual time, with one file that is damaged or refuses; then
records, commits and reads go on, over restarts, and what came of it is told in one word.

- `kinds`: the files; `faults`: what is done to one; `outcomes`: the words.
- `scene`: a data directory with something of everything, left in four ways; `usage`: its clients.
- `experiment`: one cell, from the fault to its word; `tampering`: hands on the disk behind it.
- `expected`: what each cell comes to, with reasons; `document`: its table in docs/GUARANTEES.md.
"""
