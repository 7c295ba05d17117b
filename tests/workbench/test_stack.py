"""A stack keeps every edit once, in the order the visitor gave it, and touches nothing else."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obverse.core import Fact, ObverseError
from obverse.workbench.stack import Layer, Stack

MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("move"), st.integers(1, 5), st.integers(-3, 3)),
        st.tuples(st.just("switch"), st.integers(1, 5), st.just(0)),
    ),
    max_size=20,
)


def filled(count: int) -> Stack:
    stack = Stack()
    for _ in range(count):
        number = stack.next_number()
        edit = SimpleNamespace(facts=(Fact("Anna", "{} is in", f"Rome {number}"),))
        stack.push(Layer(number, edit, SimpleNamespace(), Path(str(number))))  # pyright: ignore
    return stack


@given(MOVES)
def test_no_edit_is_lost_or_doubled_by_moving_and_switching(moves):
    stack, on = filled(5), dict.fromkeys(range(1, 6), True)
    order = [1, 2, 3, 4, 5]
    for action, number, steps in moves:
        if action == "switch":
            stack.switch(number)
            on[number] = not on[number]
        else:
            stack.move(number, steps)
            place = min(max(order.index(number) + steps, 0), 4)
            order.remove(number)
            order.insert(place, number)
    assert [layer.number for layer in stack] == order
    assert {layer.number: layer.on for layer in stack} == on
    assert [layer.number for layer in stack.on] == [number for number in order if on[number]]


@given(st.integers(-3, 3))
def test_moving_there_and_back_changes_nothing_in_the_middle(steps):
    stack = filled(7)
    stack.move(4, steps)
    stack.move(4, -steps)
    assert [layer.number for layer in stack] == [1, 2, 3, 4, 5, 6, 7]


def test_undo_takes_the_one_on_top_or_the_one_named_and_numbers_are_not_used_again():
    stack = filled(3)
    assert stack.undo().number == 3
    assert stack.undo(1).number == 1
    assert [layer.number for layer in stack] == [2]
    assert stack.next_number() == 4
    assert stack.get(2).title == "Anna is in → Rome 2"


def test_what_was_undone_is_refused():
    stack = filled(1)
    stack.undo()
    with pytest.raises(ObverseError, match="no edit to undo"):
        stack.undo()
    with pytest.raises(ObverseError, match="no edit 1 in your stack"):
        stack.switch(1)
