"""Files, environment and command line: what wins, and how a fault is told."""

import pytest

from kbroker.config.sources import (
    ConfigRefused,
    Setting,
    read_assignment,
    read_environment,
    read_properties,
    resolve,
)


def refusal_of(*layers: list[Setting]) -> str:
    with pytest.raises(ConfigRefused) as refused:
        resolve(layers)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_settings_of_a_file_know_their_lines():
    text = (
        b"# a comment\n"
        b"\n"
        b"num.partitions=3\n"
        b"! another\n"
        b"listeners = PLAINTEXT://:1,\\\n"
        b"    B://:2\n"
        b"log.dirs: /data\r\n"
        b"broker.rack a b\n"
    )
    assert read_properties("server.properties", text) == [
        Setting("num.partitions", "3", "server.properties:3"),
        Setting("listeners", "PLAINTEXT://:1,B://:2", "server.properties:5"),
        Setting("log.dirs", "/data", "server.properties:7"),
        Setting("broker.rack", "a b", "server.properties:8"),
    ]


def test_a_file_may_be_utf_8_or_latin_1():
    for encoding in ("utf-8", "latin-1"):
        (setting,) = read_properties("f", "broker.rack=Zürich".encode(encoding))
        assert setting.text == "Zürich"


def test_a_broken_escape_is_refused_with_its_line():
    with pytest.raises(ConfigRefused, match=r"^f:2: "):
        read_properties("f", b"num.partitions=1\nbroker.rack=\\u12")


def test_of_a_key_twice_in_a_file_the_last_wins_as_in_java():
    settings = read_properties("f", b"num.partitions=1\nnum.partitions=2\n")
    assert resolve([settings]).config.num_partitions == 2


@pytest.mark.parametrize(
    ("variable", "key"),
    [
        ("KAFKA_LOG_RETENTION_MS", "log.retention.ms"),
        ("KAFKA_A__B", "a_b"),
        ("KAFKA_A___B", "a-b"),
        ("KAFKA_A____B", "a-.b"),
        ("KAFKA_LISTENER_NAME_MY__NAME_PORT", "listener.name.my_name.port"),
    ],
)
def test_variables_are_mapped_as_the_official_image_maps_them(variable, key):
    assert read_environment({variable: "1"}) == [
        Setting(key, "1", f"environment variable {variable}")
    ]


@pytest.mark.parametrize(
    "variable",
    [
        "KAFKA_HEAP_OPTS",
        "KAFKA_OPTS",
        "KAFKA_VERSION",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_PORT",
        "KAFKA_SERVICE_HOST",
        "KAFKA_SERVICE_PORT_PLAINTEXT",
        "KAFKA_PORT_9092_TCP_ADDR",
        "PATH",
        "MY_KAFKA_LISTENERS",
    ],
)
def test_variables_that_are_no_keys_are_passed_over(variable):
    assert read_environment({variable: "x"}) == []


def test_a_later_layer_wins():
    file = read_properties("f", b"num.partitions=1\nbroker.rack=f\nlog.retention.ms=9\n")
    environment = read_environment({"KAFKA_NUM_PARTITIONS": "2", "KAFKA_BROKER_RACK": "e"})
    assigned = [read_assignment("num.partitions=3")]
    resolved = resolve([file, environment, assigned])
    assert resolved.config.num_partitions == 3
    assert resolved.config.broker_rack == "e"
    assert resolved.config.log_retention_ms == 9
    assert resolved.settings["broker.rack"].origin == "environment variable KAFKA_BROKER_RACK"


def test_a_synonym_in_a_later_layer_wins_over_the_name():
    assert resolve([[Setting("node.id", "1", "f:1")], [Setting("broker.id", "2", "--set")]])
    layers = [[Setting("node.id", "1", "f:1")], [Setting("broker.id", "2", "--set")]]
    assert resolve(layers).config.node_id == 2


def test_two_names_of_one_key_that_disagree_are_refused():
    message = refusal_of([Setting("node.id", "1", "f:1"), Setting("broker.id", "2", "f:2")])
    assert message.startswith("f:2: broker.id is 2, but node.id")
    assert resolve([[Setting("node.id", "1", "f:1"), Setting("broker.id", "1", "f:2")]])


def test_an_unknown_key_is_refused_with_its_place_and_the_nearest_key():
    message = refusal_of(read_properties("server.properties", b"\nlog.retentoin.ms=5\n"))
    assert message == (
        "server.properties:2: unknown key log.retentoin.ms; the nearest valid key is"
        " log.retention.ms"
    )


def test_an_unknown_key_is_refused_even_where_another_layer_is_fine():
    assert "unknown key" in refusal_of([Setting("numpartitions", "1", "f:1")], [])


def test_a_topics_key_is_told_apart():
    message = refusal_of([read_assignment("retention.ms=5")])
    assert message == "--set: retention.ms is a topic's key; the broker's is log.retention.ms"


def test_a_bad_value_is_refused_with_its_place():
    message = refusal_of(read_properties("f", b"log.segment.bytes=1GB\n"))
    assert message == (
        "f:1: Invalid value 1GB for configuration log.segment.bytes: Not a number of type INT"
    )


def test_a_bad_value_under_a_good_one_does_no_harm():
    layers = [[Setting("num.partitions", "x", "f:1")], [Setting("num.partitions", "1", "--set")]]
    assert resolve(layers).config.num_partitions == 1


def test_keys_that_do_not_fit_together_name_the_place_too():
    message = refusal_of([Setting("listeners", "SSL://:1", "--set")])
    assert message.startswith("--set: listeners: Listener SSL uses SSL")


def test_a_key_without_meaning_gives_one_warning():
    layers = [
        read_properties("f", b"process.roles=broker\nprocess.roles=controller,broker\n"),
        read_environment({"KAFKA_PROCESS_ROLES": "broker", "KAFKA_NUM_IO_THREADS": "8"}),
    ]
    warnings = resolve(layers).warnings
    assert len(warnings) == 2
    assert any(
        warning.startswith("environment variable KAFKA_PROCESS_ROLES: process.roles is ignored: ")
        for warning in warnings
    )


def test_the_compose_file_of_the_official_image_starts():
    environment = {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093",
        "KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://localhost:9092",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_NUM_PARTITIONS": "3",
    }
    resolved = resolve([read_environment(environment)])
    assert [listener.name for listener in resolved.config.parsed_listeners().opened] == [
        "PLAINTEXT"
    ]
    assert len(resolved.warnings) == 3
    assert "listener CONTROLLER is not opened" in resolved.warnings[-1]


def test_a_key_without_effect_yet_warns_if_it_asks_for_something_else():
    asked = resolve([[Setting("log.cleaner.enable", "false", "f:1")]])
    assert asked.warnings == (
        "f:1: log.cleaner.enable has no effect yet: logs are not compacted yet",
    )
    assert resolve([[Setting("log.cleaner.enable", "true", "f:1")]]).warnings == ()


def test_a_key_that_would_be_dangerous_to_ignore_is_refused():
    message = refusal_of([Setting("authorizer.class.name", "x.Y", "f:3")])
    assert message.startswith("f:3: authorizer.class.name: access control is not served")
    assert resolve([[Setting("authorizer.class.name", "", "f:3")]]).warnings == ()


def test_an_assignment_needs_a_key_and_an_equals_sign():
    assert read_assignment("a=b=c") == Setting("a", "b=c", "--set")
    for text in ("a", "=b", " =b"):
        with pytest.raises(ConfigRefused, match="expected key=value"):
            read_assignment(text)
