"""What a probe says, with checks that fail and checks that are left out."""

from apiserver.main.health import answer

CHECKS = {"ping": lambda: "", "etcd": lambda: "not reached"}


def lines(response):
    return response.status_code, bytes(response.body).decode().splitlines()


def test_a_failed_check_is_told_with_all_others():
    assert lines(answer("readyz", CHECKS, (), verbose=False)) == (
        500,
        ["[+]ping ok", "[-]etcd failed: not reached", "readyz check failed"],
    )


def test_an_excluded_check_is_not_run():
    assert lines(answer("readyz", CHECKS, ["etcd"], verbose=False)) == (200, ["ok"])
    assert lines(answer("livez", CHECKS, ["etcd"], verbose=True)) == (
        200,
        ["[+]ping ok", "[+]etcd excluded: ok", "livez check passed"],
    )


def test_what_cannot_be_excluded_is_named():
    assert lines(answer("livez", CHECKS, ["etcd", "a", "b"], verbose=True))[1][2] == (
        'warn: some health checks cannot be excluded: no matches for "a", "b"'
    )
