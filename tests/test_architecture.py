"""The diagrams in docs/architecture.md match the code."""

import re

from provisioning.models import Account
from tests.checkout import ROOT

DRAWN = (ROOT / "docs/architecture.md").read_text().partition("stateDiagram-v2")[2].partition("```")[0]


def test_the_state_diagram_shows_every_move_and_no_other() -> None:
    arrows = re.findall(r"^ +(\S+) --> (\S+?)(?:: .+)?$", DRAWN, re.MULTILINE)
    moves = {(origin, to) for origin, targets in Account.MOVES.items() for to in targets}

    assert len(arrows) == len(set(arrows))
    assert {(origin, to) for origin, to in arrows if "[*]" not in (origin, to)} == moves
    assert {origin for origin, to in arrows if to == "[*]"} == set(Account.FINAL)
    assert {to for origin, to in arrows if origin == "[*]"} == {Account.State.QUEUED, Account.State.HELD}
