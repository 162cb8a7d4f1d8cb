"""The faults of clusters: drawn from the seed, all of a kind that exists."""

from simulator.cluster_options import draw_cluster_options
from simulator.faults import draw_cluster_faults
from simulator.faults.cluster_drawing import CLUSTER_WEIGHTS, MOST_FAULTS
from simulator.faults.cluster_kinds import CLUSTER_KINDS


def test_equal_seeds_draw_equal_faults_in_the_order_of_their_moments() -> None:
    for seed in range(30):
        options, _ = draw_cluster_options(seed)
        faults = draw_cluster_faults(seed, options)
        assert faults == draw_cluster_faults(seed, options)
        assert 1 <= len(faults) <= MOST_FAULTS
        moments = [fault.at_s for fault in faults]
        assert moments == sorted(moments)
        assert 0 <= moments[0] <= moments[-1] <= options.safety_s


def test_every_kind_that_is_drawn_can_happen() -> None:
    assert CLUSTER_WEIGHTS.keys() == CLUSTER_KINDS.keys()
