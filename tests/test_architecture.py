"""The diagrams in docs/architecture.md match the code."""

import re

import grimp

from provisioning.models import Account
from tests.checkout import ROOT

PLAN, STATES = re.findall("```mermaid\n(.*?)```", (ROOT / "docs/architecture.md").read_text(), re.DOTALL)


def test_the_state_diagram_shows_every_move_and_no_other() -> None:
    arrows = re.findall(r"^ +(\S+) --> (\S+?)(?:: .+)?$", STATES, re.MULTILINE)
    moves = {(origin, to) for origin, targets in Account.MOVES.items() for to in targets}

    assert len(arrows) == len(set(arrows))
    drawn = {(origin, to) for origin, to in arrows if "[*]" not in (origin, to)}
    assert drawn == moves, "differ from Account.MOVES: " + ", ".join(
        f"{origin} --> {to}" for origin, to in drawn ^ moves
    )
    assert {origin for origin, to in arrows if to == "[*]"} == set(Account.FINAL)
    assert {to for origin, to in arrows if origin == "[*]"} == {Account.State.QUEUED, Account.State.HELD}


def drawn_packages() -> dict[str, str]:
    """Return the modules that the floor plan names → their place in it."""
    packages: dict[str, str] = {}
    for place, label in re.findall(r'(\w+)\["(.+?): ', PLAN):
        first, *others = label.split(", ")
        packages |= dict.fromkeys([first, *(f"provisioning.{name}" for name in others)], place)
    return packages


def test_the_floor_plan_shows_which_package_uses_which() -> None:
    packages = drawn_packages()
    below: dict[str, set[str]] = {place: set() for place in packages.values()}
    for origin, to in reversed(re.findall(r"^ +(\w+)(?:\[.+?\])? --> (\w+)", PLAN, re.MULTILINE)):
        below[origin] |= {to, *below[to]}

    def place(module: str) -> str:
        names = [name for name in packages if f"{module}.".startswith(f"{name}.")]
        return packages[max(names, key=len)] if names else ""

    imports = grimp.build_graph("signup", "provisioning")
    used: dict[str, set[str]] = {origin: set() for origin in below}
    for module in imports.modules:
        if place(module):
            used[place(module)] |= set(map(place, imports.find_modules_directly_imported_by(module))) - {
                "",
                place(module),
            }
    missing = "\n".join(f"{origin} --> {to}" for origin in used for to in used[origin] - below[origin])
    assert not missing, f"imports without an arrow in docs/architecture.md:\n{missing}"
    assert [(origin, to) for origin in below for to in below[origin] if origin in below[to]] == []
