"""Whose a data directory is, and how its last owner left it.

`meta.properties` bears the ids of cluster, node and directory, `.kafka_cleanshutdown` is there only
after a clean stop. Counterpart: `log.log_directory`, which opens on what these say.
"""

from log import directory_names
from log.checkpoints import MetaProperties, decode_meta_properties, encode_uuid
from log.file_system import FileSystem
from log.flushed_ends import FLUSHED_ENDS

META_PROPERTIES = "meta.properties"
CLEAN_SHUTDOWN = ".kafka_cleanshutdown"


class LogDirectoryError(ValueError):
    """The directory cannot be used; the message is one line for the person who started us."""


def read_meta(
    file_system: FileSystem, path: str, new: MetaProperties, *, cluster_id: str | None
) -> MetaProperties | None:
    """None in a new directory. `cluster_id` None: the directory's own is right.

    Raises `LogDirectoryError` if it is another's, `CheckpointError`, OSError.
    """
    file = f"{path}/{META_PROPERTIES}"
    if not file_system.exists(file):
        found = next(filter(directory_names.parse, file_system.list_directory(path)), None)
        if found is not None:
            raise LogDirectoryError(
                f"{path} holds partitions ({found} ...) but no {META_PROPERTIES}: restore it "
                f"from a copy, or write into it version=1, node.id={new.node_id}, directory.id="
                f"{encode_uuid(new.directory_id)}, cluster.id= (a start with a wrong one says it)"
            )
        return None
    meta = decode_meta_properties(file_system.read_file(file), file)
    if cluster_id is not None and meta.cluster_id != cluster_id:
        raise LogDirectoryError(
            f"{path} belongs to cluster {meta.cluster_id}, this broker to {cluster_id}"
        )
    if meta.node_id != new.node_id:
        raise LogDirectoryError(
            f"{path} belongs to node {meta.node_id}, this broker is node {new.node_id}"
        )
    return meta


def take_clean_shutdown(file_system: FileSystem, path: str) -> bool:
    """Whether the last owner left all sound; the file that says so is gone, durably. OSError."""
    file = f"{path}/{CLEAN_SHUTDOWN}"
    if not file_system.exists(file):
        return False
    ends = f"{path}/{FLUSHED_ENDS}"
    if file_system.exists(ends):
        # Kafka has run here: what was written before it says nothing of its logs.
        file_system.remove(ends)
        file_system.sync_directory(path)
    file_system.remove(file)
    file_system.sync_directory(path)
    return True
