"""What a broker tells about itself over HTTP; nothing of it is imported without `--http`.

| module | its one job |
| --- | --- |
| `monitoring` | puts these parts together for one broker |
| `http_listener` | a small HTTP server in the broker's own loop |
| `readiness` | whether a Produce would be acknowledged now |
| `meters` | plain counters, which the hot path adds to |
| `loop_watch` | how long the loop keeps others waiting |
| `metric_names` | every metric's name, labels and meaning |
| `metrics` | what `/metrics` answers: reads the counters, and the broker itself |
"""
