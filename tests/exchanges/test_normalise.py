"""Names in place of what differs from run to run, and nothing else replaced."""

from tools.record.normalise import HOUR_MS, Normaliser
from tools.record.text import Symbol, Tree

NOW_MS = 1_700_000_000_000
ID = bytes(range(16))
ID_TEXT = Symbol(f"uuid:{ID.hex()}")


def _normaliser() -> Normaliser:
    return Normaliser("127.0.0.1", 9092, NOW_MS)


def test_a_topic_id_is_called_by_its_topic_once_an_answer_had_both() -> None:
    names = _normaliser()
    names.answer({"topics": [{"name": "orders", "topic_id": ID_TEXT}]})

    assert names.request({"topic_id": ID_TEXT}) == {"topic_id": "<id of orders>"}
    assert names.answer({"topic_id": ID_TEXT}) == {"topic_id": "<id of orders>"}


def test_an_id_that_the_scenario_made_up_stays_as_it_is() -> None:
    names = _normaliser()
    names.request({"topic_id": ID_TEXT})

    assert names.answer({"topic_id": ID_TEXT}) == {"topic_id": ID_TEXT}
    assert names.answer({"topic_id": Symbol("zero")}) == {"topic_id": "zero"}


def test_an_id_in_a_message_is_called_by_its_topic() -> None:
    names = _normaliser()
    names.learn_topic("orders", ID)

    answer = names.answer({"error_message": "no id AAECAwQFBgcICQoLDA0ODw at 1700000000000"})

    assert answer == {"error_message": "no id <id of orders> at <time>"}


def test_producers_and_sessions_are_numbered_in_order() -> None:
    names = _normaliser()

    assert names.answer({"producer_id": 4000}) == {"producer_id": "<producer 1>"}
    assert names.answer({"producer_id": 4001}) == {"producer_id": "<producer 2>"}
    assert names.answer({"producer_id": 4000}) == {"producer_id": "<producer 1>"}
    assert names.answer({"producer_id": -1}) == {"producer_id": -1}
    assert names.answer({"session_id": 77}) == {"session_id": "<session 1>"}
    assert names.answer({"session_id": 0}) == {"session_id": 0}


def test_members_are_numbered_as_their_ids_are_met_and_called_by_client_or_instance() -> None:
    names = _normaliser()
    uuid = "01234567-89ab-cdef-0123-456789abcdef"
    members: list[Tree] = [{"member_id": "b"}, {"member_id": f"recorder-{uuid}"}]

    assert names.answer({"leader": f"recorder-{uuid}"}) == {"leader": "<recorder 1>"}
    assert names.answer({"member_id": f"i-{uuid}"}) == {"member_id": "<i 1>"}
    assert names.request({"member_id": f"recorder-{uuid}"}) == {"member_id": "<recorder 1>"}
    assert names.answer({"members": members}) == {
        "members": [{"member_id": "b"}, {"member_id": "<recorder 1>"}]
    }


def test_a_member_id_that_the_scenario_made_up_stays_as_it_is() -> None:
    names = _normaliser()
    made_up = "recorder-00000000-0000-0000-0000-000000000000"

    assert names.request({"member_id": made_up}) == {"member_id": made_up}
    assert names.answer({"member_id": made_up}) == {"member_id": f'"{made_up}"'}


def test_only_the_address_that_was_connected_to_is_replaced() -> None:
    names = _normaliser()

    ours: Tree = {"host": "127.0.0.1", "port": 9092}
    other: Tree = {"host": "localhost", "port": 9093}

    assert names.answer(ours) == {"host": "<host>", "port": "<port>"}
    assert names.answer(other) == other


def test_times_near_now_are_told_in_hours_and_others_as_they_are() -> None:
    names = _normaliser()
    tree: Tree = {"max_timestamp": NOW_MS + 5, "log_append_time_ms": -1, "offset": NOW_MS}

    assert names.answer(tree) == {
        "max_timestamp": "<now>",
        "log_append_time_ms": -1,
        "offset": NOW_MS,
    }
    assert names.request({"timestamp": NOW_MS + 2 * HOUR_MS}) == {"timestamp": "<now+2h>"}


def test_lists_are_ordered_by_what_identifies_their_elements() -> None:
    names = _normaliser()
    tree: Tree = {"topics": [{"name": "b"}, {"name": "a"}], "isr_nodes": [3, 1]}

    assert names.answer(tree) == {"topics": [{"name": "a"}, {"name": "b"}], "isr_nodes": [3, 1]}


def test_the_partitions_of_one_topic_are_put_together() -> None:
    names = _normaliser()
    entries: list[Tree] = [{"topic": "a", "partitions": [{"index": n}]} for n in (1, 0)]

    assert names.answer({"responses": entries}) == {
        "responses": [{"topic": "a", "partitions": [{"index": 0}, {"index": 1}]}]
    }


def test_topics_of_other_scenarios_can_be_left_out() -> None:
    names = _normaliser()
    names.only_topics = frozenset({"mine"})

    answer = names.answer({"topics": [{"name": "mine"}, {"name": "yours"}]})

    assert answer == {"topics": [{"name": "mine"}]}


def test_groups_of_other_scenarios_can_be_left_out() -> None:
    names = _normaliser()
    names.only_groups = frozenset({"mine"})

    answer = names.answer({"groups": [{"group_id": "mine"}, {"group_id": "yours"}]})

    assert answer == {"groups": [{"group_id": "mine"}]}
