from tests.checkout import Checkout


def test_secrets_are_new_each_time_and_need_no_configuration(checkout: Checkout) -> None:
    first, second = (checkout.run("manage.py", "generate_secrets").stdout.splitlines() for _ in range(2))

    assert [line.partition("=")[0] for line in first] == ["SECRET_KEY", "SEALING_KEYS", "POSTGRES_PASSWORD"]
    assert not set(first) & set(second)
