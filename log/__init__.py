"""One partition's log on a `FileSystem`; synchronous, without a clock.

- `partition_log`: the public face. Behind it `writing`, `reading`, `lookup`, `flushing`,
  `truncation` and `retention`.
- `segments`, `segment`, `index_file`, `offset_index`, `time_index`, `transaction_index`, `scan`:
  its files. `opening`, `loading`, `recovery`, `setting_aside`: what happens to them at start.
- `validation`, `producer_state`: what a leader may append; `replicated`: what a follower is sent.
- `producer_snapshot`, `leader_epochs`: the state's file, and who led from which offset on.
- `log_directory`: all partitions of one disk; `directory_names`; `directory_owner` (whose it is);
  `checkpoints` (formats of the small files), `checkpoint_writer` (when), `flushed_ends` (what was
  flushed since), `damaged_partitions` (what was lost, and nobody was told).
- `file_system`: the seam to the disk. `log_config`: the settings.
"""
