"""The readable form of answers can be read back, so that they are compared by field."""

from hypothesis import given
from hypothesis import strategies as st

from tools.record.golden import read_golden, write_golden
from tools.record.player import Exchange
from tools.record.text import Symbol, Tree, inline, parse, render

names = st.from_regex(r"[a-z_][a-z_0-9]{0,8}", fullmatch=True)
symbols = st.sampled_from(["NONE", "<id of a topic>", "<now+2h>", "zero", "6 more"]).map(Symbol)
leaves = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), symbols)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=30,
)
answers = st.one_of(st.dictionaries(names, trees, max_size=4), symbols)


@given(answers)
def test_what_is_rendered_parses_to_the_same(tree: Tree) -> None:
    parsed = parse(render(tree))

    assert parsed == tree
    assert inline(parsed) == inline(tree)


def test_what_fits_stands_in_one_line_and_the_rest_is_opened() -> None:
    tree: Tree = {"few": [1, {"a": Symbol("NONE")}], "many": [{"text": "x" * 80}] * 2}

    assert render(tree) == (
        f'few: [1, {{a: NONE}}]\nmany:\n  - {{text: "{"x" * 80}"}}\n  - {{text: "{"x" * 80}"}}\n'
    )


def test_a_golden_file_gives_back_its_requests_and_answers() -> None:
    exchanges = [
        Exchange("first", "Metadata v4", {"topics": []}, {"error_code": Symbol("NONE")}),
        Exchange("second", "bytes", {"bytes": "00"}, Symbol("closed")),
    ]

    recorded = read_golden(write_golden("What it is about.", exchanges))

    assert recorded == {
        "first": ("Metadata v4\ntopics: []\n", {"error_code": "NONE"}),
        "second": ('bytes\nbytes: "00"\n', "closed"),
    }
