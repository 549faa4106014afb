"""docs/operations.md is enough for a night shift: a broken installation says what the table there says."""

from tests.operations import (
    test_constant_contact,
    test_database,
    test_people,
    test_processes,
)
from tests.operations.symptoms import ROWS, SEEN

MODULES = (test_constant_contact, test_database, test_processes, test_people)


def test_each_row_of_the_table_is_tried() -> None:
    assert sorted(SEEN) == sorted(ROWS)
    assert {test.__module__ for test in SEEN.values()} == {module.__name__ for module in MODULES}
