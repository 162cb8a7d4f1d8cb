"""Real clients over real TCP: every scenario is written once and runs with every client.

drivers/        one program per client library, all speaking drivers/protocol.py
client.py       the abstract client that scenarios use: starts a driver and calls it
clients.py      the table of clients: program, environment, and what each cannot do, with the reason
targets.py      what is under test: a kbroker process, three of them, an image, or Apache Kafka
cluster_target.py  the three, and their etcd (`--target cluster`)
batch_probe.py  reads batch headers over a bare socket: what was really stored
groups.py       what scenarios of groups wait for: a fair share, every record, every commit
scenarios.py    the `scenario` mark: a title, and the features that it needs
table.py        docs/interop.md and docs/interop-cluster.md, from the results of a run
test_*.py       the scenarios
"""
