"""Record batches, the unit that clients send, that segments hold and that fetches return.

- `batch_header`: the 61 bytes before the records of a batch (format v2, "magic 2") as a tuple.
- `batch`: checksums, iteration over whole batches, stamping in place, building.
- `record`: the records inside one batch, decompressed under a cap.
- `compression`: gzip, snappy, lz4 and zstd with a cap on what comes out.
- `control`: control records (transaction markers).
- `file_slice`: batches that are still in a file, on their way to a socket.
"""
