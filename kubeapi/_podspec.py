"""`spec` of a pod and its containers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Atomic, ListMapKeys, MergeKey, Model, RetainKeys
from apimachinery.quantity import Quantity
from kubeapi._affinity import Affinity, Toleration, TopologySpreadConstraint
from kubeapi._common import Int32, Int64, LocalObjectReference
from kubeapi._env import EnvFromSource, EnvVar
from kubeapi._probes import Lifecycle, Probe
from kubeapi._security import PodSecurityContext, SecurityContext
from kubeapi._volumes import Volume, VolumeDevice, VolumeMount


class ContainerPort(Model):
    name: str | None = None
    hostPort: Int32 | None = None
    containerPort: Int32 = 0
    protocol: str = "TCP"
    hostIP: str | None = None


class ResourceClaim(Model):
    name: str = ""
    request: str | None = None


class ResourceRequirements(Model):
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None
    claims: Annotated[list[ResourceClaim], ListMapKeys("name")] | None = None


class ContainerResizePolicy(Model):
    resourceName: str = ""
    restartPolicy: str = ""


class ContainerRestartRuleOnExitCodes(Model):
    operator: str = ""
    values: list[Int32] | None = None


class ContainerRestartRule(Model):
    action: str = ""
    exitCodes: ContainerRestartRuleOnExitCodes | None = None


class Container(Model):
    """A container of a pod; `restartPolicy` "Always" on an init container makes it a sidecar."""

    name: str = ""
    image: str | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    workingDir: str | None = None
    ports: (
        Annotated[list[ContainerPort], MergeKey("containerPort"), ListMapKeys("containerPort", "protocol")] | None
    ) = None
    envFrom: list[EnvFromSource] | None = None
    env: Annotated[list[EnvVar], MergeKey("name")] | None = None
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    resizePolicy: list[ContainerResizePolicy] | None = None
    restartPolicy: str | None = None
    restartPolicyRules: list[ContainerRestartRule] | None = None
    volumeMounts: Annotated[list[VolumeMount], MergeKey("mountPath")] | None = None
    volumeDevices: Annotated[list[VolumeDevice], MergeKey("devicePath")] | None = None
    livenessProbe: Probe | None = None
    readinessProbe: Probe | None = None
    startupProbe: Probe | None = None
    lifecycle: Lifecycle | None = None
    terminationMessagePath: str = "/dev/termination-log"
    terminationMessagePolicy: str = "File"
    imagePullPolicy: str | None = None
    securityContext: SecurityContext | None = None
    stdin: bool | None = None
    stdinOnce: bool | None = None
    tty: bool | None = None


class EphemeralContainer(Container):
    """A container added to a running pod for debugging."""

    targetContainerName: str | None = None


class PodReadinessGate(Model):
    conditionType: str = ""


class PodSchedulingGate(Model):
    name: str = ""


class PodOS(Model):
    name: str = ""


class HostAlias(Model):
    ip: str = ""
    hostnames: list[str] | None = None


class PodDNSConfigOption(Model):
    name: str | None = None
    value: str | None = None


class PodDNSConfig(Model):
    nameservers: list[str] | None = None
    searches: list[str] | None = None
    options: list[PodDNSConfigOption] | None = None


class PodResourceClaim(Model):
    name: str = ""
    resourceClaimName: str | None = None
    resourceClaimTemplateName: str | None = None


class WorkloadReference(Model):
    name: str = ""
    podGroup: str = ""
    podGroupReplicaKey: str | None = None


class PodSpec(Model):
    volumes: Annotated[list[Volume], MergeKey("name"), RetainKeys()] | None = None
    initContainers: Annotated[list[Container], MergeKey("name")] | None = None
    containers: Annotated[list[Container], MergeKey("name")] = Field(default_factory=list)
    ephemeralContainers: Annotated[list[EphemeralContainer], MergeKey("name")] | None = None
    restartPolicy: str = "Always"
    terminationGracePeriodSeconds: Int64 | None = 30
    activeDeadlineSeconds: Int64 | None = None
    dnsPolicy: str = "ClusterFirst"
    nodeSelector: Annotated[dict[str, str], Atomic()] | None = None
    serviceAccountName: str | None = None
    serviceAccount: str | None = None
    automountServiceAccountToken: bool | None = None
    nodeName: str | None = None
    hostNetwork: bool | None = None
    hostPID: bool | None = None
    hostIPC: bool | None = None
    shareProcessNamespace: bool | None = None
    securityContext: PodSecurityContext | None = Field(default_factory=PodSecurityContext)
    imagePullSecrets: Annotated[list[LocalObjectReference], MergeKey("name")] | None = None
    hostname: str | None = None
    subdomain: str | None = None
    affinity: Affinity | None = None
    schedulerName: str = "default-scheduler"
    tolerations: list[Toleration] | None = None
    hostAliases: Annotated[list[HostAlias], MergeKey("ip")] | None = None
    priorityClassName: str | None = None
    priority: Int32 | None = None
    dnsConfig: PodDNSConfig | None = None
    readinessGates: list[PodReadinessGate] | None = None
    runtimeClassName: str | None = None
    enableServiceLinks: bool | None = True
    preemptionPolicy: str | None = None
    overhead: dict[str, Quantity] | None = None
    topologySpreadConstraints: (
        Annotated[
            list[TopologySpreadConstraint],
            MergeKey("topologyKey"),
            ListMapKeys("topologyKey", "whenUnsatisfiable"),
        ]
        | None
    ) = None
    setHostnameAsFQDN: bool | None = None
    os: PodOS | None = None
    hostUsers: bool | None = None
    schedulingGates: Annotated[list[PodSchedulingGate], MergeKey("name")] | None = None
    resourceClaims: Annotated[list[PodResourceClaim], MergeKey("name"), RetainKeys()] | None = None
    resources: ResourceRequirements | None = None
    hostnameOverride: str | None = None
    workloadRef: WorkloadReference | None = None


class PodSpecHolder(Object):
    """A kind with a pod's spec inside.

    The spec's validator is by far the largest of all: it is built once and shared by every kind rather than inlined
    into each of them, which saves more than 1 MB and 20 ms for each.
    """

    built_before: ClassVar[tuple[type[Model], ...]] = (PodSpec,)

    @classmethod
    def model_rebuild(cls, **options: Any) -> bool | None:
        for part in cls.built_before:
            if not part.__pydantic_complete__:
                part.model_rebuild()
        return super().model_rebuild(**options)
