"""Options of clusters: of the run, and of its brokers."""

from dataclasses import fields

from simulator.cluster_options import ClusterOptions, draw_cluster_options
from simulator.corpus import parse_plan
from simulator.options import Options, draw_options
from simulator.plan import Plan


def test_equal_seeds_draw_equal_clusters_of_three_to_five_brokers() -> None:
    drawn = [draw_cluster_options(seed) for seed in range(40)]
    assert drawn == [draw_cluster_options(seed) for seed in range(40)]
    assert {brokers.brokers for _, brokers in drawn} == {3, 4, 5}
    assert all(brokers.replication_factor <= brokers.brokers for _, brokers in drawn)


def test_the_options_of_one_broker_are_drawn_as_ever() -> None:
    assert Plan.draw(3).options == draw_options(3)
    assert Plan.draw(3).cluster is None


def test_names_are_of_one_table_only() -> None:
    ours = {each.name for each in fields(ClusterOptions)}
    assert not ours & {each.name for each in fields(Options)}


def test_the_command_of_a_cluster_gives_its_plan_again(monkeypatch) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    settings = (("brokers", "5"), ("safety_s", "9"))
    plan = Plan.draw(7, settings, frozenset({"fault:0"}), is_cluster=True)
    assert plan.cluster is not None
    assert (plan.cluster.brokers, plan.options.safety_s) == (5, 9.0)
    assert plan.command().startswith("python -m simulator --cluster --seed 7 ")
    assert parse_plan(plan.command().split()) == plan
    assert plan.changed(settings, frozenset({"fault:0"})) == plan
