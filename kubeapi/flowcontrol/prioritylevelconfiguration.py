"""PriorityLevelConfiguration: how many requests of a level are served at once, and how the others wait."""

from __future__ import annotations

import math
from typing import Annotated

from pydantic import Field

from apimachinery.columns import AGE, NAME, NONE
from apimachinery.errors import FieldError
from apimachinery.meta import Object
from apimachinery.model import Int32, ListMapKeys, MergeKey, Model
from apimachinery.resource import Column, Resource, Strategy
from apimachinery.validation import Errors, Path
from kubeapi.flowcontrol._flowcontrol import EXEMPT, GROUP, FlowCondition

DEFAULT_SHARES, DEFAULT_QUEUES, DEFAULT_HAND, DEFAULT_LENGTH = 30, 64, 8, 50
MAX_QUEUES = 10_000_000
MAX_HASH_BITS = 60
"""A flow's hand of queues is dealt from one number of so many bits."""


class QueuingConfiguration(Model, protobuf="queues handSize queueLengthLimit"):
    """The queues of a level."""

    queues: Int32 = 0
    """The number of queues: more of them make it less likely that two flows share one. Default: 64."""
    handSize: Int32 = 0
    """The number of queues that a flow may use; a request goes to the shortest of them. Default: 8."""
    queueLengthLimit: Int32 = 0
    """The most requests that a queue may hold; further ones are refused. Default: 50."""


class LimitResponse(Model, protobuf="type queuing*"):
    """The answer to a request that can't be served at once."""

    type: str = ""
    """`Queue`: it waits. `Reject`: it is refused."""
    queuing: QueuingConfiguration | None = None
    """The queues, where `type` is `Queue`."""


class LimitedPriorityLevelConfiguration(
    Model, protobuf="nominalConcurrencyShares* limitResponse lendablePercent* borrowingLimitPercent*"
):
    """The limits of a level."""

    nominalConcurrencyShares: Int32 | None = None
    """The level's share of the server's seats, in proportion to those of the other levels. Default: 30."""
    limitResponse: LimitResponse = Field(default_factory=LimitResponse)
    """The answer to a request that can't be served at once."""
    lendablePercent: Int32 | None = None
    """The part of the level's seats that other levels may use while it does not need them: 0 to 100. Default: 0."""
    borrowingLimitPercent: Int32 | None = None
    """The most seats that the level may use of others, in percent of its own. Default: no limit."""


class ExemptPriorityLevelConfiguration(Model, protobuf="nominalConcurrencyShares* lendablePercent*"):
    """The seats that are kept for exempt requests, which never wait."""

    nominalConcurrencyShares: Int32 | None = None
    """The level's share of the server's seats. Default: 0."""
    lendablePercent: Int32 | None = None
    """The part of them that other levels may use while it does not need them: 0 to 100. Default: 0."""


class PriorityLevelConfigurationSpec(Model, protobuf="type limited* exempt*"):
    """The kind of the level, and its limits."""

    type: str = ""
    """`Limited`, or `Exempt` for the level `exempt` alone."""
    limited: LimitedPriorityLevelConfiguration | None = None
    """The limits, where `type` is `Limited`."""
    exempt: ExemptPriorityLevelConfiguration | None = None
    """The seats kept, where `type` is `Exempt`."""


class PriorityLevelConfigurationStatus(Model, protobuf="conditions"):
    """The observed state of a priority level."""

    conditions: Annotated[list[FlowCondition], MergeKey("type"), ListMapKeys("type")] | None = None
    """Observations of the level."""


class PriorityLevelConfiguration(Object, protobuf="metadata spec status"):
    """A priority level: its share of the server's seats, and its queues."""

    spec: PriorityLevelConfigurationSpec = Field(default_factory=PriorityLevelConfigurationSpec)
    """The kind of the level, and its limits."""
    status: PriorityLevelConfigurationStatus = Field(default_factory=PriorityLevelConfigurationStatus)
    """The observed state."""


class PriorityLevelConfigurationStrategy(Strategy[PriorityLevelConfiguration]):
    """Source: Kubernetes documentation, "API Priority and Fairness"."""

    def default(self, obj: PriorityLevelConfiguration) -> None:
        limited, exempt = obj.spec.limited, obj.spec.exempt
        if exempt is not None:
            exempt.nominalConcurrencyShares = exempt.nominalConcurrencyShares or 0
            exempt.lendablePercent = exempt.lendablePercent or 0
        if limited is None:
            return
        if limited.nominalConcurrencyShares is None:
            limited.nominalConcurrencyShares = DEFAULT_SHARES
        limited.lendablePercent = limited.lendablePercent or 0
        if (queuing := limited.limitResponse.queuing) is not None:
            queuing.queues = queuing.queues or DEFAULT_QUEUES
            queuing.handSize = queuing.handSize or DEFAULT_HAND
            queuing.queueLengthLimit = queuing.queueLengthLimit or DEFAULT_LENGTH

    def validate(self, obj: PriorityLevelConfiguration) -> list[FieldError]:
        errors, spec = Errors(), obj.spec
        path: Path = ("spec",)
        if (obj.name == EXEMPT) != (spec.type == "Exempt"):
            errors.invalid((*path, "type"), spec.type, "must be 'Exempt' if and only if `name` is 'exempt'")
        if spec.type == "Exempt":
            if spec.limited is not None:
                errors.forbidden((*path, "limited"), "must be nil if the type is Exempt")
            if spec.exempt is not None:
                _check_seats(errors, (*path, "exempt"), spec.exempt)
        elif spec.type == "Limited":
            if spec.exempt is not None:
                errors.forbidden((*path, "exempt"), "must be nil if the type is Limited")
            if spec.limited is None:
                errors.required((*path, "limited"), "must not be empty when type is Limited")
            else:
                _check_limited(errors, (*path, "limited"), spec.limited)
        else:
            errors.not_supported((*path, "type"), spec.type, ("Exempt", "Limited"))
        return errors


def _check_seats(
    errors: Errors, path: Path, seats: LimitedPriorityLevelConfiguration | ExemptPriorityLevelConfiguration
) -> None:
    shares, lendable = seats.nominalConcurrencyShares or 0, seats.lendablePercent or 0
    if shares < 0:
        errors.invalid((*path, "nominalConcurrencyShares"), shares, "must be a non-negative integer")
    if not 0 <= lendable <= 100:
        errors.invalid((*path, "lendablePercent"), lendable, "must be between 0 and 100, inclusive")


def _check_limited(errors: Errors, path: Path, limited: LimitedPriorityLevelConfiguration) -> None:
    _check_seats(errors, path, limited)
    at, response = (*path, "limitResponse"), limited.limitResponse
    if response.type == "Reject":
        if response.queuing is not None:
            errors.forbidden((*at, "queuing"), "must be nil if limited.limitResponse.type is not Limited")
    elif response.type == "Queue":
        if response.queuing is None:
            errors.required((*at, "queuing"), "must not be empty if limited.limitResponse.type is Limited")
        else:
            _check_queuing(errors, (*at, "queuing"), response.queuing)
    else:
        errors.not_supported((*at, "type"), response.type, ("Queue", "Reject"))
    if (limit := limited.borrowingLimitPercent) is not None and limit < 0:
        errors.invalid((*path, "borrowingLimitPercent"), limit, "if specified, must be a non-negative integer")


def _check_queuing(errors: Errors, path: Path, queuing: QueuingConfiguration) -> None:
    queues, hand = queuing.queues, queuing.handSize
    if queuing.queueLengthLimit <= 0:
        errors.invalid((*path, "queueLengthLimit"), queuing.queueLengthLimit, "must be positive")
    if queues <= 0:
        errors.invalid((*path, "queues"), queues, "must be positive")
    elif queues > MAX_QUEUES:
        errors.invalid((*path, "queues"), queues, f"must not be greater than {MAX_QUEUES}")
    at = (*path, "handSize")
    if hand <= 0:
        errors.invalid(at, hand, "must be positive")
    elif hand > queues:
        errors.invalid(at, hand, f"should not be greater than queues ({queues})")
    elif hash_bits(queues, hand) > MAX_HASH_BITS:
        text = f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than"
        errors.invalid(at, hand, f"{text} {MAX_HASH_BITS}")


def hash_bits(deck: int, hand: int) -> int:
    """Returns how many bits a number needs to deal any hand of so many cards."""
    return math.ceil(sum(math.log2(deck - dealt) for dealt in range(min(hand, MAX_HASH_BITS + 1))))


def _queuing_cell(obj: PriorityLevelConfiguration, member: str) -> object:
    queuing = obj.spec.limited.limitResponse.queuing if obj.spec.limited is not None else None
    return NONE if queuing is None else getattr(queuing, member)


def _shares_cell(obj: PriorityLevelConfiguration) -> object:
    seats = obj.spec.limited or obj.spec.exempt
    return NONE if seats is None or seats.nominalConcurrencyShares is None else seats.nominalConcurrencyShares


RESOURCE = Resource(
    kind="PriorityLevelConfiguration",
    plural="prioritylevelconfigurations",
    model=PriorityLevelConfiguration,
    group=GROUP,
    namespaced=False,
    status=True,
    strategy=PriorityLevelConfigurationStrategy(),
    columns=(
        NAME,
        Column("Type", lambda obj, now: obj.spec.type, "Whether the level is limited or exempt."),
        Column(
            "NominalConcurrencyShares", lambda obj, now: _shares_cell(obj), "The level's share of the server's seats."
        ),
        Column("Queues", lambda obj, now: _queuing_cell(obj, "queues"), "The number of queues."),
        Column(
            "HandSize", lambda obj, now: _queuing_cell(obj, "handSize"), "The number of queues that a flow may use."
        ),
        Column(
            "QueueLengthLimit",
            lambda obj, now: _queuing_cell(obj, "queueLengthLimit"),
            "The most requests that a queue may hold.",
        ),
        AGE,
    ),
)
