"""Bytes to messages and back; no I/O, no clock.

`schema` declares messages, `compiler` turns the declarations into functions, `messages` holds
one file per API, `header` and `frame` wrap them for the network, `records` is the batch format.
"""
