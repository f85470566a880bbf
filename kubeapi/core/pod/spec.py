"""`spec` of a pod and its containers."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field

from apimachinery.meta import Object
from apimachinery.model import Atomic, Int32, Int64, ListMapKeys, MergeKey, Model, OneOf, Required, RetainKeys
from apimachinery.quantity import Quantity
from kubeapi.core._references import LocalObjectReference
from kubeapi.core.pod.affinity import Affinity, Toleration, TopologySpreadConstraint
from kubeapi.core.pod.env import EnvFromSource, EnvVar
from kubeapi.core.pod.probes import Lifecycle, Probe
from kubeapi.core.pod.security import PodSecurityContext, SecurityContext
from kubeapi.core.pod.volumes import Volume, VolumeDevice, VolumeMount


class ContainerPort(Model, protobuf="name hostPort containerPort protocol hostIP"):
    """A port that the container listens on. Naming it here is information; it opens and closes nothing."""

    name: str | None = None
    """A name by which Services and probes can refer to the port; unique in the pod, at most 15 characters."""
    hostPort: Int32 | None = None
    """A port of the node that is led to this one. Most pods need none."""
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
    """How much of the node's resources is set aside, and how much may be used at most."""

    limits: dict[str, Quantity] | None = None
    """The most that may be used, by resource, such as cpu and memory. Beyond it CPU is throttled; for memory, the
    container is killed."""
    requests: dict[str, Quantity] | None = None
    """What is set aside on the node, by resource: the scheduler counts with it. Default: the limits."""
    claims: Annotated[list[ResourceClaim], ListMapKeys("name")] | None = None
    """Devices that are used, by the names of the pod's claims."""


class ContainerResizePolicy(Model, protobuf="resourceName restartPolicy"):
    """What a change of one resource in a running pod needs."""

    resourceName: str = ""
    """The resource: cpu or memory."""
    restartPolicy: Annotated[str, OneOf("NotRequired", "RestartContainer")] = ""
    """NotRequired changes it in place; RestartContainer restarts the container."""


class ContainerRestartRuleOnExitCodes(Model):
    """A set of exit codes."""

    operator: Annotated[str, OneOf("In", "NotIn")] = ""
    """In, or NotIn."""
    values: list[Int32] | None = None
    """The exit codes, 0 to 255; at most 255 of them."""


class ContainerRestartRule(Model):
    """What to do when the container ends in a certain way."""

    action: str = ""
    """Restart, or RestartAllContainers for the whole pod."""
    exitCodes: ContainerRestartRuleOnExitCodes | None = None
    """The exit codes for which the rule holds."""


class Container(
    Model,
    protobuf="name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe "
    "lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom "
    "terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy",
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
    """The ports that the container listens on, for other objects to refer to."""
    envFrom: list[EnvFromSource] | None = None
    """Sources of many variables at once. A later one wins over an earlier one, and `env` over all."""
    env: Annotated[list[EnvVar], MergeKey("name")] | None = None
    """Variables of the environment, one by one."""
    resources: ResourceRequirements = Field(default_factory=ResourceRequirements)
    """The CPU, memory and other resources the container needs and may use."""
    resizePolicy: list[ContainerResizePolicy] | None = None
    """Which resources can be changed without a restart. Default: all of them."""
    restartPolicy: str | None = None
    """Always makes an init container a sidecar: it starts in order and runs beside the others until they have ended.
    With restartPolicyRules, also Never and OnFailure."""
    restartPolicyRules: list[ContainerRestartRule] | None = None
    """Exceptions from the restart policy by exit code; the first that holds counts."""
    volumeMounts: Annotated[list[VolumeMount], MergeKey("mountPath")] | None = None
    """Where the pod's volumes appear in the container's files."""
    volumeDevices: Annotated[list[VolumeDevice], MergeKey("devicePath")] | None = None
    """Where block volumes appear as devices."""
    livenessProbe: Probe | None = None
    """Asked while the container runs: a container that fails it is restarted."""
    readinessProbe: Probe | None = None
    """Asked while the container runs: a container that fails it gets no traffic from Services."""
    startupProbe: Probe | None = None
    """Asked first: the other probes wait for its success, and its failure restarts the container."""
    lifecycle: Lifecycle | None = None
    """What to do right after the start and before the end of the container."""
    terminationMessagePath: str = "/dev/termination-log"
    """The file whose content becomes the message of the container's status when it ends. Default:
    /dev/termination-log."""
    terminationMessagePolicy: Annotated[str, OneOf("File", "FallbackToLogsOnError")] = "File"
    """File takes the message from that file alone (the default); FallbackToLogsOnError takes the end of the log when
    the file is empty and the container failed."""
    imagePullPolicy: Annotated[str, OneOf("Always", "IfNotPresent", "Never")] | None = None
    """When the image is fetched: Always, IfNotPresent or Never. Default: Always for the tag latest or no tag, else
    IfNotPresent."""
    securityContext: SecurityContext | None = None
    """The privileges and identity of the container, which win over those of the pod."""
    stdin: bool | None = None
    """Whether the container gets an input that stays open for `kubectl attach -i`. Default: false."""
    stdinOnce: bool | None = None
    """Whether the input closes for good after the first client that attached has left. Default: false."""
    tty: bool | None = None
    """Whether the process gets a terminal; needs `stdin`. Default: false."""


class EphemeralContainer(
    Container,
    protobuf="(name image command args workingDir ports env resources volumeMounts livenessProbe readinessProbe "
    "lifecycle terminationMessagePath imagePullPolicy securityContext stdin stdinOnce tty envFrom "
    "terminationMessagePolicy volumeDevices startupProbe resizePolicy restartPolicy) targetContainerName",
):
    """A container added to a running pod for debugging."""

    targetContainerName: str | None = None
    """The container whose processes it can see. Default: none but its own."""


class PodReadinessGate(Model, protobuf="conditionType"):
    """A condition that must hold for the pod to be ready."""

    conditionType: str = ""
    """The type of the condition, which someone else sets in the pod's status."""


class PodSchedulingGate(Model, protobuf="name"):
    """Keeps a pod from being scheduled while it is there."""

    name: str = ""
    """The name of the gate. Gates may be removed, not added."""


class PodOS(Model, protobuf="name"):
    """The operating system that a pod is made for."""

    name: str = ""
    """linux or windows."""


class HostAlias(Model, protobuf="ip hostnames"):
    """A line of the pod's /etc/hosts."""

    ip: str = ""
    """The address."""
    hostnames: list[str] | None = None
    """The names that lead to the address."""


class PodDNSConfigOption(Model, protobuf="name value"):
    """An option of the resolver."""

    name: str | None = None
    """The option, such as ndots."""
    value: str | None = None
    """Its value, where it has one."""


class PodDNSConfig(Model, protobuf="nameservers searches options"):
    """Settings of the resolver, joined with those that dnsPolicy gives."""

    nameservers: list[str] | None = None
    """Addresses of name servers, at most 3; more are added to what the policy gives."""
    searches: list[str] | None = None
    """Domains that short names are looked up in, at most 32."""
    options: list[PodDNSConfigOption] | None = None
    """Options of resolv.conf; they win over those of the policy."""


class PodResourceClaim(Model, protobuf="name - resourceClaimName resourceClaimTemplateName"):
    """A claim of devices that the pod's containers can use: exactly one source is given."""

    name: str = ""
    """The name by which containers refer to the claim."""
    resourceClaimName: str | None = None
    """A ResourceClaim in the pod's namespace."""
    resourceClaimTemplateName: str | None = None
    """A ResourceClaimTemplate from which a claim is made for this pod."""


class WorkloadReference(Model):
    """The workload that a pod is scheduled together with."""

    name: str = ""
    """The Workload object in the pod's namespace."""
    podGroup: str = ""
    """The group within the workload that the pod is in."""
    podGroupReplicaKey: str | None = None
    """Which replica of the group the pod is in."""


class PodSpec(
    Model,
    protobuf="volumes containers restartPolicy terminationGracePeriodSeconds* activeDeadlineSeconds* dnsPolicy "
    "nodeSelector serviceAccountName serviceAccount nodeName hostNetwork hostPID hostIPC securityContext "
    "imagePullSecrets hostname subdomain affinity schedulerName initContainers automountServiceAccountToken* "
    "tolerations hostAliases priorityClassName priority* dnsConfig shareProcessNamespace* readinessGates "
    "runtimeClassName enableServiceLinks* preemptionPolicy overhead topologySpreadConstraints ephemeralContainers "
    "setHostnameAsFQDN* os hostUsers* schedulingGates resourceClaims resources",
):
    """What a pod consists of: its containers, volumes and where it may run."""

    volumes: Annotated[list[Volume], MergeKey("name"), RetainKeys()] | None = None
    """Storage that containers of the pod can mount."""
    initContainers: Annotated[list[Container], MergeKey("name")] | None = None
    """Containers that run one after the other, each to its end, before the others start. With restartPolicy Always they
    are sidecars."""
    containers: Annotated[list[Container], MergeKey("name"), Required()] = Field(default_factory=list)
    """The containers of the pod, at least one. None can be added or removed later."""
    ephemeralContainers: Annotated[list[EphemeralContainer], MergeKey("name")] | None = None
    """Containers added to the running pod for debugging, through the subresource of this name."""
    restartPolicy: Annotated[str, OneOf("Always", "OnFailure", "Never")] = "Always"
    """What becomes of containers that end: Always restarts them (the default), OnFailure those that failed, Never
    none."""
    terminationGracePeriodSeconds: Int64 | None = 30
    """Seconds between the request to stop and the kill. 0 kills at once. Default: 30."""
    activeDeadlineSeconds: Int64 | None = None
    """Seconds after its start at which the pod is made to fail."""
    dnsPolicy: Annotated[str, OneOf("ClusterFirst", "ClusterFirstWithHostNet", "Default", "None")] = "ClusterFirst"
    """Where names are looked up: ClusterFirst (the default), ClusterFirstWithHostNet, Default for what the node uses,
    or None for dnsConfig alone."""
    nodeSelector: Annotated[dict[str, str], Atomic()] | None = None
    """Labels that a node must have for the pod to be put there."""
    serviceAccountName: str | None = None
    """The ServiceAccount whose identity the pod has. Default: default."""
    serviceAccount: str | None = None
    """The old name of serviceAccountName, with the same value."""
    automountServiceAccountToken: bool | None = None
    """Whether a token of the service account is mounted in each container. Default: what the account says."""
    nodeName: str | None = None
    """The node that the pod runs on, set by the scheduler. A pod created with it passes the scheduler by."""
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
    """Secrets with credentials for fetching the pod's images."""
    hostname: str | None = None
    """The host name that the pod sees. Default: the pod's name."""
    subdomain: str | None = None
    """Makes the pod's full name HOSTNAME.SUBDOMAIN.NAMESPACE.svc.DOMAIN, which a headless Service of this name
    serves."""
    affinity: Affinity | None = None
    """Rules for the choice of a node, by its labels and by what runs there."""
    schedulerName: str = "default-scheduler"
    """The scheduler that is to choose the node. Default: default-scheduler."""
    tolerations: list[Toleration] | None = None
    """The taints that do not keep the pod off a node."""
    hostAliases: Annotated[list[HostAlias], MergeKey("ip")] | None = None
    """Further lines for /etc/hosts of the containers."""
    priorityClassName: str | None = None
    """The PriorityClass that says how important the pod is; system-node-critical and system-cluster-critical are the
    highest."""
    priority: Int32 | None = None
    """The importance as a number, filled in from the class: a higher pod may push out lower ones."""
    dnsConfig: PodDNSConfig | None = None
    """Settings of the resolver beyond dnsPolicy."""
    readinessGates: list[PodReadinessGate] | None = None
    """Conditions that must hold, beside its containers' own, for the pod to be ready."""
    runtimeClassName: str | None = None
    """The RuntimeClass that says which runtime runs the pod. Default: the node's usual one."""
    enableServiceLinks: bool | None = True
    """Whether each container gets variables with the addresses of the namespace's Services. Default: true."""
    preemptionPolicy: Annotated[str, OneOf("PreemptLowerPriority", "Never")] | None = None
    """Whether the pod may push out others of lower priority: PreemptLowerPriority (the default) or Never."""
    overhead: dict[str, Quantity] | None = None
    """What the runtime itself needs for the pod, filled in from the RuntimeClass and counted by the scheduler."""
    topologySpreadConstraints: (
        Annotated[
            list[TopologySpreadConstraint],
            MergeKey("topologyKey"),
            ListMapKeys("topologyKey", "whenUnsatisfiable"),
        ]
        | None
    ) = None
    """How the pods of a group are spread over zones, nodes or other places. All must hold."""
    setHostnameAsFQDN: bool | None = None
    """Whether the host name within the pod is the full name. Default: false."""
    os: PodOS | None = None
    """The operating system that the containers need."""
    hostUsers: bool | None = None
    """Whether user ids in the pod are those of the node; false maps them to ids without rights there. Default: true."""
    schedulingGates: Annotated[list[PodSchedulingGate], MergeKey("name")] | None = None
    """What the pod waits for before the scheduler looks at it. Can only be set on creation."""
    resourceClaims: Annotated[list[PodResourceClaim], MergeKey("name"), RetainKeys()] | None = None
    """Claims of devices that containers may use."""
    resources: ResourceRequirements | None = None
    """Requests and limits of the pod as a whole, for cpu, memory and huge pages."""
    hostnameOverride: str | None = None
    """The host name that the pod sees, in place of the one made from hostname and subdomain."""
    workloadRef: WorkloadReference | None = None
    """The workload that the pod is part of, for being scheduled together."""


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
