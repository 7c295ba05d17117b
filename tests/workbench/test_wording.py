"""Flags of the command line are fields of the page."""

import pytest

from obverse.workbench.wording import page_words


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("Add --subject.", "Fill in the field Subject."),
        ("Say with --subject which part it is.", "Say in the field Subject which part it is."),
        ("Allow more steps (--set steps=20).", "Allow more steps (steps=20 under Settings of the method)."),
        ("Set it, e.g. --set fit.rate=1e-6.", "Set it, e.g. fit.rate=1e-6 under Settings of the method."),
        ("--set 'reverse=In {} is the'", "reverse=In {} is the under Settings of the method"),
        ("Give --set order=upon, or one.", "Give order=upon under Settings of the method, or one."),
        ("Choose another, or pass --force to edit.", "Choose another, or tick the box under More to edit."),
        ("Use --method mend.", "Use the method mend."),
        ("Name the true answer (--true).", "Name the true answer (in the field Present answer)."),
        ("Ask for less (--answer-tokens).", "Ask for less (fewer tokens)."),
        (
            "Measure it with obverse sweep-layers --model gpt2 --method rome, or leave --layer out for the preset.",
            "Measure it with obverse sweep-layers --model gpt2 --method rome, or leave the field Layers empty for the "
            "preset.",
        ),
    ],
)
def test_a_flag_is_said_as_the_field_it_is(hint, said):
    assert page_words(hint) == said
