"""How failures are worded."""

from apimachinery.errors import FieldError, NotFound, invalid_object
from kubectl.cli.main import describe_failure
from kubectl.invocation.command import UsageError


def test_failures_read_as_kubectls():
    assert describe_failure(NotFound('pods "x" not found')) == 'Error from server (NotFound): pods "x" not found'
    error = invalid_object("Pod", "", "x", [FieldError("FieldValueRequired", "spec", "Required value")])
    assert describe_failure(error) == 'The Pod "x" is invalid: spec: Required value'
    assert describe_failure(UsageError("no")) == "error: no"
    two = invalid_object("Pod", "", "x", [FieldError("a", "spec", "Required value"), FieldError("a", "b", "bad")])
    assert describe_failure(two) == 'The Pod "x" is invalid: \n* spec: Required value\n* b: bad'
