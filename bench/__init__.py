"""Benchmarks: `python -m bench` measures kbroker beside the least a Python broker can do.

floor.py      that least, a broker of one file without checks, config or recovery
wireload.c    the load generator (frames.h: what it sends), compiled by generator.py on demand
loads.py      what is measured, and the reach each figure should have
targets.py    starts and ends the brokers; runner.py alternates them; report.py prints
"""
