"""A whole cluster in one process, from one seed.

- `disk`: the `FileSystem` that knows what is durable and fails on demand; `disk_nodes`: its files
  and directories, and what a power loss does to each.
"""
