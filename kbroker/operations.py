"""What "authorized operations" answers (KIP-430): bits by the codes of `AclOperation`.

While there is no authoriser everybody may do everything that a kind of resource knows.
"""

from __future__ import annotations

READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE = 3, 4, 5, 6, 7, 8
CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE = 9, 10, 11, 12

_OF_TOPICS = (READ, WRITE, CREATE, DELETE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS)
_OF_GROUPS = (READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS)
_OF_CLUSTERS = (
    CREATE,
    ALTER,
    DESCRIBE,
    CLUSTER_ACTION,
    DESCRIBE_CONFIGS,
    ALTER_CONFIGS,
    IDEMPOTENT_WRITE,
)

TOPIC_OPERATIONS = sum(1 << operation for operation in _OF_TOPICS)
GROUP_OPERATIONS = sum(1 << operation for operation in _OF_GROUPS)
CLUSTER_OPERATIONS = sum(1 << operation for operation in _OF_CLUSTERS)
NOT_ASKED = -(2**31)
