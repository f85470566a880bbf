"""`spec` of a pod and its containers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Atomic, Int32, Int64, ListMapKeys, MergeKey, Model, OneOf, Required, RetainKeys
from apimachinery.quantity import ResourceList
from kubeapi.core._references import LocalObjectReference
from kubeapi.core.pod.env import EnvFromSource, EnvVar
from kubeapi.core.pod.probes import Lifecycle, Probe
from kubeapi.core.pod.scheduling.affinity import Affinity, Toleration, TopologySpreadConstraint
from kubeapi.core.pod.security import PodSecurityContext, SecurityContext
from kubeapi.core.pod.volumes import Volume, VolumeDevice, VolumeMount


class ContainerPort(Model, protobuf="name hostPort containerPort protocol hostIP"):
    """A port that the container listens on. The entry is informative: it does not open or close the port."""

    name: str | None = None
    """A name by which Services and probes can refer to the port; unique in the pod, at most 15 characters."""
    hostPort: Int32 | None = None
    """A port of the node that is forwarded to this one. Most pods do not need it."""
    containerPort: Int32 = 0
    """The number of the port in the pod, 1 to 65535."""
    protocol: Annotated[str, OneOf("TCP", "UDP", "SCTP")] = "TCP"
    """TCP (the default), UDP or SCTP."""
    hostIP: str | None = None
    """The address of the node that hostPort is bound to. Default: all of them."""


class ResourceClaim(Model, protobuf="name request"):
    """Lets a container use a device that the pod has claimed."""

    name: str = ""
    """The name of the claim in the pod's spec.resourceClaims."""
    request: str | None = None
    """One request of that claim. Default: all of them."""


class ResourceRequirements(Model, protobuf="limits requests claims"):
    """The resources that are reserved on the node, and the limits of their use."""

    limits: ResourceList | None = None
    """The limits by resource, such as cpu and memory. CPU use beyond the limit is throttled; memory use beyond it ends
    the container."""
    requests: ResourceList | None = None
    """The resources that the scheduler reserves on the node. Default: the limits."""
    claims: Annotated[list[ResourceClaim], ListMapKeys("name")] | None = None
    """The devices to use, by the names of the pod's claims."""


class ContainerResizePolicy(Model, protobuf="resourceName restartPolicy"):
    """The way in which one resource of a running container is changed."""

    resourceName: str = ""
    """The resource: cpu or memory."""
    restartPolicy: Annotated[str, OneOf("NotRequired", "RestartContainer")] = ""
    """NotRequired changes it in place; RestartContainer restarts the container."""


class ContainerRestartRuleOnExitCodes(Model, protobuf="operator values"):
    """A set of exit codes."""

    operator: Annotated[str, OneOf("In", "NotIn")] = ""
    """In, or NotIn."""
    values: list[Int32] | None = None
    """The exit codes, 0 to 255; at most 255 of them."""


class ContainerRestartRule(Model, protobuf="action exitCodes"):
    """A rule for a container that ends with certain exit codes."""

    action: str = ""
    """Restart for this container, RestartAllContainers for the whole pod."""
    exitCodes: ContainerRestartRuleOnExitCodes | None = None
    """The exit codes that the rule applies to."""


class Container(
    Model,
    protobuf="name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe "
    "lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom "
    "terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy* restartPolicyRules",
):
    """A container of a pod; `restartPolicy` "Always" on an init container makes it a sidecar."""

    name: str = ""
    """The container's name, unique in the pod, in the form of a DNS label. It can't be changed."""
    image: str | None = None
    """The image to run, such as docker.io/library/nginx:1.27."""
    command: list[str] | None = None
    """The program and its first arguments, in place of the image's entrypoint; no shell is involved. $(NAME) stands for
    a variable of the environment."""
    args: list[str] | None = None
    """Arguments, in place of those of the image. $(NAME) stands for a variable of the environment."""
    workingDir: str | None = None
    """The directory that the program starts in. Default: the image's."""
    ports: (
        Annotated[list[ContainerPort], MergeKey("containerPort"), ListMapKeys("containerPort", "protocol")] | None
    ) = None
    """The ports that the container listens on, so that other objects can refer to them."""
    envFrom: list[EnvFromSource] | None = None
    """Sources of many variables at once. Later ones override earlier ones, and `env` overrides all."""
    env: Annotated[list[EnvVar], MergeKey("name")] | None = None
    """Variables of the environment, one by one."""
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    """The CPU, memory and other resources the container needs and may use."""
    resizePolicy: list[ContainerResizePolicy] | None = None
    """The resources that can be changed without a restart. Default: all of them."""
    restartPolicy: str | None = None
    """Always makes an init container a sidecar: it starts in order and runs beside the others until they have ended.
    With restartPolicyRules, also Never and OnFailure."""
    restartPolicyRules: list[ContainerRestartRule] | None = None
    """Exceptions from the restart policy by exit code; the first matching rule applies."""
    volumeMounts: Annotated[list[VolumeMount], MergeKey("mountPath")] | None = None
    """The volumes of the pod to mount, and their paths in the container."""
    volumeDevices: Annotated[list[VolumeDevice], MergeKey("devicePath")] | None = None
    """The block volumes to use as devices, and their paths in the container."""
    livenessProbe: Probe | None = None
    """Checks the running container: if it fails, the container is restarted."""
    readinessProbe: Probe | None = None
    """Checks the running container: while it fails, the container gets no traffic from Services."""
    startupProbe: Probe | None = None
    """Runs first: the other probes wait for its success, and its failure restarts the container."""
    lifecycle: Lifecycle | None = None
    """Actions right after the start and before the end of the container."""
    terminationMessagePath: str = "/dev/termination-log"
    """The file whose content becomes the message of the container's status when it ends. Default:
    /dev/termination-log."""
    terminationMessagePolicy: Annotated[str, OneOf("File", "FallbackToLogsOnError")] = "File"
    """File takes the message from that file alone (the default); FallbackToLogsOnError takes the end of the log when
    the file is empty and the container failed."""
    imagePullPolicy: Annotated[str, OneOf("Always", "IfNotPresent", "Never")] | None = None
    """When to pull the image: Always, IfNotPresent or Never. Default: Always for the tag latest or no tag, else
    IfNotPresent."""
    securityContext: SecurityContext | None = None
    """The privileges and identity of the container, which override those of the pod."""
    stdin: bool | None = None
    """Whether the container has a standard input, which stays open for `kubectl attach -i`. Default: false."""
    stdinOnce: bool | None = None
    """Whether the input closes for good after the first client that attached has left. Default: false."""
    tty: bool | None = None
    """Whether the process gets a terminal; needs `stdin`. Default: false."""


class EphemeralContainer(
    Container,
    protobuf="(name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe "
    "lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom "
    "terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy* restartPolicyRules) "
    "targetContainerName",
):
    """A container added to a running pod for debugging."""

    targetContainerName: str | None = None
    """The container whose processes the debug container can see. Default: only its own."""


class PodReadinessGate(Model, protobuf="conditionType"):
    """A condition that must be true for the pod to be ready."""

    conditionType: str = ""
    """The type of the condition, which another program sets in the pod's status."""


class PodSchedulingGate(Model, protobuf="name"):
    """Keeps a pod from being scheduled until it is removed."""

    name: str = ""
    """The name of the gate. Gates can be removed but not added."""


class PodOS(Model, protobuf="name"):
    """The operating system that a pod requires."""

    name: str = ""
    """linux or windows."""


class HostAlias(Model, protobuf="ip hostnames"):
    """A line of the pod's /etc/hosts."""

    ip: str = ""
    """The address."""
    hostnames: list[str] | None = None
    """The host names of the address."""


class PodDNSConfigOption(Model, protobuf="name value*"):
    """An option of the resolver."""

    name: str | None = None
    """The option, such as ndots."""
    value: str | None = None
    """The value of the option, if it has one."""


class PodDNSConfig(Model, protobuf="nameservers searches options"):
    """Settings of the resolver, merged with those of dnsPolicy."""

    nameservers: list[str] | None = None
    """Addresses of name servers, at most 3, added to those of the policy."""
    searches: list[str] | None = None
    """Domains that short names are looked up in, at most 32."""
    options: list[PodDNSConfigOption] | None = None
    """Options of resolv.conf, which override those of the policy."""


class PodResourceClaim(Model, protobuf="name - resourceClaimName* resourceClaimTemplateName*"):
    """A claim of devices that the pod's containers can use: exactly one source is given."""

    name: str = ""
    """The name by which containers refer to the claim."""
    resourceClaimName: str | None = None
    """A ResourceClaim in the pod's namespace."""
    resourceClaimTemplateName: str | None = None
    """A ResourceClaimTemplate from which a claim is made for this pod."""


class WorkloadReference(Model, protobuf="name podGroup podGroupReplicaKey"):
    """The workload that a pod is scheduled together with."""

    name: str = ""
    """The Workload object in the pod's namespace."""
    podGroup: str = ""
    """The group within the workload that the pod is in."""
    podGroupReplicaKey: str | None = None
    """The replica of the group that the pod is in."""


class PodSpec(
    Model,
    protobuf="volumes containers restartPolicy terminationGracePeriodSeconds* activeDeadlineSeconds* dnsPolicy "
    "nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC securityContext "
    "imagePullSecrets hostname subdomain affinity schedulerName initContainers automountServiceAccountToken* "
    "tolerations hostAliases priorityClassName priority* dnsConfig shareProcessNamespace* readinessGates "
    "runtimeClassName* enableServiceLinks* preemptionPolicy* overhead topologySpreadConstraints ephemeralContainers "
    "setHostnameAsFQDN* os hostUsers* schedulingGates resourceClaims resources hostnameOverride* workloadRef",
):
    """The desired state of a pod: its containers, its volumes, and the nodes it may run on."""

    volumes: Annotated[list[Volume], MergeKey("name"), RetainKeys()] | None = None
    """Storage that containers of the pod can mount."""
    initContainers: Annotated[list[Container], MergeKey("name")] | None = None
    """Containers that run to completion, one after the other, before the others start. With restartPolicy Always they
    are sidecars."""
    containers: Annotated[list[Container], MergeKey("name"), Required()] = Field(default_factory=list)
    """The containers of the pod, at least one. They can't be added or removed later."""
    ephemeralContainers: Annotated[list[EphemeralContainer], MergeKey("name")] | None = None
    """Containers added to the running pod for debugging, through the subresource of this name."""
    restartPolicy: Annotated[str, OneOf("Always", "OnFailure", "Never")] = "Always"
    """The containers to restart when they end: Always restarts all (the default), OnFailure those that failed, Never
    none."""
    terminationGracePeriodSeconds: Int64 | None = 30
    """Seconds between the request to stop and the kill. 0 kills at once. Default: 30."""
    activeDeadlineSeconds: Int64 | None = None
    """Seconds after the start of the pod at which it is marked as failed and stopped."""
    dnsPolicy: Annotated[str, OneOf("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")] = "ClusterFirst"
    """The name resolution: ClusterFirst (the default), ClusterFirstWithHostNet, Default for the node's settings, or
    None for dnsConfig alone."""
    nodeSelector: Annotated[dict[str, str], Atomic()] | None = None
    """Labels that a node must have for the pod to be put there."""
    serviceAccountName: str | None = None
    """The ServiceAccount whose identity the pod has. Default: default."""
    serviceAccount: str | None = None
    """The old name of serviceAccountName, with the same value."""
    automountServiceAccountToken: bool | None = None
    """Whether a token of the service account is mounted in each container. Default: the setting of the account."""
    nodeName: str | None = None
    """The node that the pod runs on, set by the scheduler. A pod that is created with it bypasses the scheduler."""
    hostNetwork: bool | None = None
    """Whether the pod uses the node's own network. Default: false."""
    hostPID: bool | None = None
    """Whether containers see the processes of the node. Default: false."""
    hostIPC: bool | None = None
    """Whether containers share the node's System V and POSIX message queues and memory. Default: false."""
    shareProcessNamespace: bool | None = None
    """Whether the pod's containers see each other's processes. Default: false."""
    securityContext: PodSecurityContext | None = Field(default_factory=PodSecurityContext)
    """Privileges and identity of all containers, and the owner of volumes."""
    imagePullSecrets: Annotated[list[LocalObjectReference], MergeKey("name")] | None = None
    """Secrets with credentials for pulling the pod's images."""
    hostname: str | None = None
    """The host name that the pod sees. Default: the pod's name."""
    subdomain: str | None = None
    """The subdomain. The full name of the pod is then HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN, served by a headless
    Service of this name."""
    affinity: Affinity | None = None
    """Rules for the choice of a node, by its labels and by the pods on it."""
    schedulerName: str = "default-scheduler"
    """The scheduler that chooses the node. Default: default-scheduler."""
    tolerations: list[Toleration] | None = None
    """The taints that the pod tolerates."""
    hostAliases: Annotated[list[HostAlias], MergeKey("ip")] | None = None
    """Further lines for /etc/hosts of the containers."""
    priorityClassName: str | None = None
    """The PriorityClass of the pod; system-node-critical and system-cluster-critical are the highest."""
    priority: Int32 | None = None
    """The priority as a number, filled in from the class. A pod of higher priority may preempt others."""
    dnsConfig: PodDNSConfig | None = None
    """Settings of the resolver beyond dnsPolicy."""
    readinessGates: list[PodReadinessGate] | None = None
    """Conditions that must be true for the pod to be ready, in addition to those of its containers."""
    runtimeClassName: str | None = None
    """The RuntimeClass that selects the container runtime. Default: the usual runtime of the node."""
    enableServiceLinks: bool | None = None
    """Whether each container gets variables with the addresses of the namespace's Services. Default: true."""
    preemptionPolicy: Annotated[str, OneOf("PreemptLowerPriority", "Never")] | None = None
    """Whether the pod may preempt pods of lower priority: PreemptLowerPriority (the default) or Never."""
    overhead: ResourceList | None = None
    """The resources that the runtime itself needs for the pod, filled in from the RuntimeClass and counted by the
    scheduler."""
    topologySpreadConstraints: (
        Annotated[
            list[TopologySpreadConstraint],
            MergeKey("topologyKey"),
            ListMapKeys("topologyKey", "whenUnsatisfiable"),
        ]
        | None
    ) = None
    """Rules for spreading a group of pods over zones, nodes or other places. All must hold."""
    setHostnameAsFQDN: bool | None = None
    """Whether the host name within the pod is the full name. Default: false."""
    os: PodOS | None = None
    """The operating system that the containers require."""
    hostUsers: bool | None = None
    """Whether user ids in the pod are those of the node; false maps them to unprivileged ids of the node. Default:
    true."""
    schedulingGates: Annotated[list[PodSchedulingGate], MergeKey("name")] | None = None
    """Gates that keep the pod from being scheduled. They can only be set on creation."""
    resourceClaims: Annotated[list[PodResourceClaim], MergeKey("name"), RetainKeys()] | None = None
    """Claims of devices that containers may use."""
    resources: ResourceRequirements | None = None
    """Requests and limits of the pod as a whole, for cpu, memory and huge pages."""
    hostnameOverride: str | None = None
    """The host name that the pod sees, in place of the one from hostname and subdomain."""
    workloadRef: WorkloadReference | None = None
    """The workload that the pod is scheduled together with."""


def all_containers(spec: PodSpec) -> Iterator[Container]:
    """Yields the containers of every kind: init containers first, ephemeral ones last."""
    yield from spec.initContainers or ()
    yield from spec.containers
    yield from spec.ephemeralContainers or ()


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
