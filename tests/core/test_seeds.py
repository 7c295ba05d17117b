from hypothesis import given
from hypothesis import strategies as st

from obverse.core import seed_for

labels = st.lists(st.text(st.characters(categories=("L", "N"))) | st.integers(), max_size=3)


@given(st.integers(), labels)
def test_a_seed_is_stable_and_in_range(run_seed, names):
    seed = seed_for(run_seed, *names)
    assert seed == seed_for(run_seed, *names)
    assert 0 <= seed < 2**63


@given(st.integers(), labels, labels)
def test_other_labels_give_another_seed(run_seed, first, second):
    same = [str(part) for part in first] == [str(part) for part in second]
    assert (seed_for(run_seed, *first) == seed_for(run_seed, *second)) == same


def test_the_value_is_the_same_on_every_machine():
    assert seed_for(0, "case", 7) == 2_171_486_169_563_242_615
