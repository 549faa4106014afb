import pytest

from tests.checkout import Checkout


@pytest.mark.parametrize(
    "command",
    [["-m", "gunicorn", "signup.wsgi"], ["manage.py", "serve"], ["manage.py", "provision"], ["manage.py", "check"]],
    ids=lambda command: command[-1],
)
def test_nothing_starts_with_mistakes_and_all_are_named(checkout: Checkout, command: list[str]) -> None:
    checkout.environment |= {"CONSTANT_CONTACT_RATE": "fast", "TRUSTED_PROXIES": "nginx", "EMAIL_URL": "smtp://"}

    ended = checkout.run(*command)

    assert ended.returncode == 1
    for told in (
        "CONSTANT_CONTACT_RATE must be a number",
        "TRUSTED_PROXIES must be addresses or networks",
        "EMAIL_URL must look like",
        "SECRET_KEY is missing: `python manage.py generate_secrets` prints a fresh one.",
        "SEALING_KEYS is missing. HINT: `python manage.py generate_secrets` prints new ones",
        "ALLOWED_HOSTS is missing.",
        "CONSTANT_CONTACT_API_KEY is missing.",
        "CONSTANT_CONTACT_USERNAME is missing.",
        "CONSTANT_CONTACT_PASSWORD is missing.",
    ):
        assert told in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr
