"""One partition's log on a `FileSystem`; synchronous, without a clock.

- `partition_log`: the public face; `segment`, `offset_index`, `time_index`, `transaction_index`:
  its files; `recovery` and `retention`: what happens to them at start and with time.
- `validation` and `producer_state`: what may be appended; `producer_snapshot`: the state's file.
- `leader_epochs`: which leader wrote from which offset on.
- `checkpoints`: the small text files; `log_directory`: all partitions of one disk.
- `file_system`: the seam to the disk. `log_config`: the settings.
"""
