"""The functions that Kubernetes adds."""
# ruff: noqa: E501 (tables)

import pytest

from kubecel import DYN, EvaluationError, compile_expression
from kubecel.libraries.authorizers import Authorizer, Decision

TRUE = """
[1, 3, 2].isSorted() == false && ['a', 'b'].isSorted() && [].sum() == 0 && [1.5, 2.5].sum() == 4.0
[3, 1].min() == 1 && ['a', 'c'].max() == 'c' && [1, 2, 1].lastIndexOf(1) == 2 && [1].indexOf(9) == -1
[duration('1s'), duration('2s')].sum() == duration('3s')
'abc 123 45'.find('[0-9]+') == '123' && 'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'a1b2'.findAll('[0-9]', 1) == ['1']
'abc'.charAt(1) == 'b' && 'abc'.charAt(3) == '' && 'abcb'.indexOf('b', 2) == 3 && 'abcb'.lastIndexOf('b') == 3
['a', 'b'].join('-') == 'a-b' && ['a', 'b'].join() == 'ab' && 'aBc'.lowerAscii() == 'abc' && 'aé'.upperAscii() == 'Aé'
'a-b-c'.replace('-', '+', 1) == 'a+b-c' && 'a-b'.split('-') == ['a', 'b'] && 'a-b-c'.split('-', 2) == ['a', 'b-c']
'hello'.substring(1, 3) == 'el' && 'hello'.substring(3) == 'lo' && ' x '.trim() == 'x' && strings.quote('a"b') == '"a\\\\"b"'
'%s %d %.2f %x %b %%'.format(['a', 3, 1.5, 255, 5]) == 'a 3 1.50 ff 101 %' && '%s'.format([[1, 2]]) == '[1, 2]'
'%s %s'.format([{'b': 1}, null]) == '{b: 1} null'
url('https://u@example.com:80/p%20q?x=1&x=2').getHost() == 'example.com:80' && url('http://[::1]/').getHostname() == '::1'
url('https://example.com/a?q=1').getQuery()['q'] == ['1'] && url('/x').getScheme() == '' && !isURL('../x') && isURL('/x')
url('https://example.com:8080/').getPort() == '8080' && url('http://a/b').getEscapedPath() == '/b'
quantity('1Gi').isGreaterThan(quantity('500Mi')) && quantity('50k').add(20000).compareTo(quantity('70k')) == 0
quantity('1.5').isInteger() == false && quantity('2').asInteger() == 2 && quantity('-1').sign() == -1 && !isQuantity('x')
quantity('1').sub(quantity('500m')).asApproximateFloat() == 0.5 && quantity('200M') == quantity('0.2G')
ip('::1').isLoopback() && ip('10.0.0.1').isGlobalUnicast() && ip('224.0.0.1').isLinkLocalMulticast() && !isIP('x')
ip.isCanonical('127.0.0.1') && !ip.isCanonical('0::1') && ip('fe80::1').isLinkLocalUnicast() && ip('0.0.0.0').isUnspecified()
string(ip('::0001')) == '::1' && ip('10.0.0.1').family() == 4 && !isIP('::ffff:1.2.3.4') && ip('::1') == ip('0::1')
cidr('10.0.0.1/8').masked() == cidr('10.0.0.0/8') && cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && isCIDR('::/0')
cidr('10.0.0.0/8').ip() == ip('10.0.0.0') && cidr('10.0.0.0/8').prefixLength() == 8 && cidr('::/0').containsIP('::1')
semver('1.2.3-alpha.1').isLessThan(semver('1.2.3')) && semver('1.10.0').isGreaterThan(semver('1.9.0')) && !isSemver('1.2')
semver('v1.02', true) == semver('1.2.0') && semver('1.2.3').minor() == 2 && semver('1.0.0+a').compareTo(semver('1.0.0+b')) == 0
!format.dns1123Label().validate('ab').hasValue() && format.dns1123Label().validate('A_').hasValue()
format.named('uuid').value().validate('x') == optional.of(['does not match the UUID format']) && !format.named('x').hasValue()
!format.date().validate('2021-01-01').hasValue() && format.datetime().validate('2021').hasValue()
sets.contains([1, 2], [2]) && sets.equivalent([1, 1, 2], [2, 1]) && !sets.intersects([1], [2]) && sets.intersects([1], [1])
jsonpatch.escapeKey('a/b~c') == 'a~1b~0c'
authorizer.group('apps').resource('deployments').subresource('scale').namespace('d').name('x').check('get').allowed()
!authorizer.path('/healthz').check('get').allowed() && authorizer.path('/x').check('get').reason() == 'no'
!authorizer.serviceAccount('d', 's').group('').resource('pods').check('get').allowed()
""".strip().splitlines()

ASKED = Authorizer(lambda question: Decision(question.resource == "deployments" and question.verb == "get", "no"))


def evaluate(text: str) -> object:
    return compile_expression(text, {"authorizer": Authorizer.type, "o": DYN}).evaluate({"authorizer": ASKED, "o": {}})


@pytest.mark.parametrize("text", TRUE)
def test_a_true_expression(text: str) -> None:
    assert evaluate(text) is True


FAULTS = [
    "[].min()", "'abc'.charAt(4)", "'abc'.substring(2, 1)", "url('x y')", "quantity('x')", "quantity('1.5').asInteger()",
    "ip('1.2.3')", "ip('fe80::1%eth0')", "cidr('10.0.0.0/33')", "semver('1')", "'%d'.format(['a'])", "'%s'.format([])",
    "'a'.matches('(')", "authorizer.path('')", "[1, 2, 'x' == 'x' ? 3 : 4].map(x, dyn(x)).map(x, x == 3 ? 'a' : x).max()",
]  # fmt: skip


@pytest.mark.parametrize("text", FAULTS)
def test_an_expression_without_a_value(text: str) -> None:
    with pytest.raises(EvaluationError):
        evaluate(text)


def test_no_text_grows_beyond_its_bound() -> None:
    program = compile_expression("o.text.replace('a', o.text).size() > 0", {"o": DYN})
    with pytest.raises(EvaluationError, match="longer than"):
        program.evaluate({"o": {"text": "a" * 100_000}})
