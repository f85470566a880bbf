"""PURE: asks for another name than the client's, and answers by the client's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dnslib import RR

from clusterdns.corefile.options import RewriteRule
from clusterdns.message import Name, Reply, label, name_of, parse_name


def rewritten(rules: Sequence[RewriteRule], name: Name) -> Name:
    """Returns the name to ask for: that of the first rule that fits, and of those behind it if it goes on."""
    for rule in rules:
        changed = _apply(rule, ".".join(name))
        if changed is not None:
            name = parse_name(changed)
            if rule.stop:
                break
    return name


def _apply(rule: RewriteRule, name: str) -> str | None:
    """Returns the name by the rule; None when it does not fit. A name ends in its last letter here, not in a dot."""
    match rule.kind:
        case "exact":
            return rule.after if name == rule.before else None
        case "prefix":
            return rule.after + name[len(rule.before) :] if name.startswith(rule.before) else None
        case "suffix":
            return name[: len(name) - len(rule.before)] + rule.after if name.endswith(rule.before) else None
        case "substring":
            return name.replace(rule.before, rule.after) if rule.before in name else None
    # As upstream's, whose patterns see the final dot.
    match = rule.pattern.search(f"{name}.") if rule.pattern else None
    if match is None:
        return None
    after = rule.after
    for index, group in enumerate((match.group(0), *match.groups())):
        after = after.replace(f"{{{index}}}", group or "")
    return after


def restored(reply: Reply, asked: Name, instead: Name) -> Reply:
    """Gives the records of the name that was asked `instead` the name that the client asked for."""

    if asked == instead:
        return reply

    def renamed(records: tuple[RR, ...]) -> tuple[RR, ...]:
        return tuple(
            RR(label(asked), item.rtype, item.rclass, item.ttl, item.rdata) if name_of(item.rname) == instead else item
            for item in records
        )

    return replace(reply, answers=renamed(reply.answers), additional=renamed(reply.additional))
