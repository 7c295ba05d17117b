"""Nobody gets at what is another's: a token is given out, never taken."""

import copy
import time

from obverse.workbench.jobs import Worker
from obverse.workbench.visitors import Visitors


def test_a_visitor_comes_back_by_token_and_no_other_way():
    visitors = Visitors()
    anna = visitors.visit()
    assert visitors.visit(anna.token) is anna
    for token in ("", None, "guessed", 7, anna.token[:-1]):
        other = visitors.visit(token)
        assert other is not anna
        assert other.token not in (token, anna.token)
    visitors.close()


def test_stacks_are_apart_by_visitor_and_by_model():
    visitors = Visitors()
    anna, ben = visitors.visit(), visitors.visit()
    assert anna.stack("a") is anna.stack("a")
    assert len({id(who.stack(model)) for who in (anna, ben) for model in ("a", "b")}) == 4
    assert copy.deepcopy(anna) is anna
    visitors.close()


def test_of_too_many_the_one_away_longest_is_forgotten_with_its_files():
    visitors = Visitors(most=2)
    anna, ben = visitors.visit(), visitors.visit()
    visitors.visit(anna.token)
    carla = visitors.visit()
    assert not ben.folder.exists()
    assert anna.folder.is_dir()
    assert visitors.visit(anna.token) is anna
    assert visitors.visit(ben.token) is not ben
    visitors.close()
    assert not carla.folder.exists()


def test_a_busy_visitor_is_not_forgotten():
    visitors, worker = Visitors(most=1), Worker()
    anna = visitors.visit()
    job = worker.submit("long", lambda _: time.sleep(0.3))
    anna.began("ask", job)
    assert anna.busy
    visitors.visit()
    assert visitors.visit(anna.token) is anna
    assert anna.cancel("edit") is False
    assert anna.cancel() is True
    worker.close()
    visitors.close()
