"""The rules of a FlowSchema: which requests of whom it selects."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from apimachinery.model import OMIT_EMPTY, Int32, ListMapKeys, Model


class FlowDistinguisherMethod(Model, protobuf="type"):
    """Tells the flows of a schema apart."""

    type: str = ""
    """`ByUser`: each user is a flow of their own. `ByNamespace`: each namespace is."""


class PriorityLevelConfigurationReference(Model, protobuf="name"):
    """Names a priority level."""

    name: str = ""
    """The name of the PriorityLevelConfiguration."""


class UserSubject(Model, protobuf="name"):
    """Selects a user."""

    name: str = ""
    """The name of the user; `*` stands for all."""


class GroupSubject(Model, protobuf="name"):
    """Selects the members of a group."""

    name: str = ""
    """The name of the group; `*` stands for all."""


class ServiceAccountSubject(Model, protobuf="namespace name"):
    """Selects service accounts."""

    namespace: str = ""
    """The namespace of the account."""
    name: str = ""
    """The name of the account; `*` stands for all of the namespace."""


class Subject(Model, protobuf="kind user* group* serviceAccount*"):
    """Selects the sender of a request; the member that `kind` names says which."""

    kind: str = ""
    """`User`, `Group` or `ServiceAccount`."""
    user: UserSubject | None = None
    """The user, where `kind` is `User`."""
    group: GroupSubject | None = None
    """The group, where `kind` is `Group`."""
    serviceAccount: ServiceAccountSubject | None = None
    """The service account, where `kind` is `ServiceAccount`."""


class ResourcePolicyRule(Model, protobuf="verbs apiGroups resources clusterScope namespaces"):
    """Selects requests for resources. A request has to match each of the members."""

    verbs: Annotated[list[str], ListMapKeys()] = Field(default_factory=list)
    """The verbs; `*` stands for all."""
    apiGroups: Annotated[list[str], ListMapKeys()] = Field(default_factory=list)
    """The API groups; `""` is the core group, `*` stands for all."""
    resources: Annotated[list[str], ListMapKeys()] = Field(default_factory=list)
    """The resources, with their subresources as in `nodes/status`; `*` stands for all."""
    clusterScope: Annotated[bool, OMIT_EMPTY] = False
    """Whether requests without a namespace match. Default: false."""
    namespaces: Annotated[list[str], ListMapKeys()] | None = None
    """The namespaces; `*` stands for all. Default: none, which selects only requests without a namespace."""


class NonResourcePolicyRule(Model, protobuf="verbs - - - - nonResourceURLs"):
    """Selects requests for paths that are not resources."""

    verbs: Annotated[list[str], ListMapKeys()] = Field(default_factory=list)
    """The verbs, which are HTTP methods in lower case; `*` stands for all."""
    nonResourceURLs: Annotated[list[str], ListMapKeys()] = Field(default_factory=list)
    """The paths; a `*` at the end stands for any rest."""


class PolicyRulesWithSubjects(Model, protobuf="subjects resourceRules nonResourceRules"):
    """Selects requests of some senders: one subject and one rule have to match."""

    subjects: list[Subject] = Field(default_factory=list)
    """The senders. At least one is needed."""
    resourceRules: list[ResourcePolicyRule] | None = None
    """Requests for resources. Either these or `nonResourceRules` are needed."""
    nonResourceRules: list[NonResourcePolicyRule] | None = None
    """Requests for other paths."""


class FlowSchemaSpec(Model, protobuf="priorityLevelConfiguration matchingPrecedence distinguisherMethod* rules"):
    """The requests of the schema, and where they wait."""

    priorityLevelConfiguration: PriorityLevelConfigurationReference = Field(
        default_factory=PriorityLevelConfigurationReference
    )
    """The priority level of the requests. Until it exists the schema is ignored."""
    matchingPrecedence: Int32 = 0
    """1 to 10000. A request that several schemas match belongs to the one with the lowest number. Default: 1000."""
    distinguisherMethod: FlowDistinguisherMethod | None = None
    """How the requests are divided into flows, among which the level is fair. Default: they are one flow."""
    rules: list[PolicyRulesWithSubjects] | None = None
    """A request belongs to the schema if one of the rules matches it. Default: none do."""
