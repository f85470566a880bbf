"""Kustomizations, beside those that the real kubectl builds: the same YAML, the same refusals."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from kubectl.cli.command import UsageError
from kubectl.kustomize.build import build
from tests.kits.kubectlversions import KUBECTLS

pytestmark = pytest.mark.skipif("1.33" not in KUBECTLS, reason="kustomize changes: compared with kubectl 1.33")

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: a
        image: nginx:1
        env: [{name: X, valueFrom: {configMapKeyRef: {name: c, key: k}}}]
        ports: [{containerPort: 80, name: h}, {containerPort: 81}]
        volumeMounts: [{name: v, mountPath: /a}]
      - {name: b, image: "reg:5000/b@sha256:123"}
      initContainers: [{name: i, image: nginx}]
      volumes:
      - {name: v, secret: {secretName: s}}
      - {name: p, projected: {sources: [{configMap: {name: c}}, {secret: {name: s}}]}}
      imagePullSecrets: [{name: s}]
      tolerations: [{key: a}]
      serviceAccountName: sa
      priorityClassName: pc
"""
ALL = (
    WEB
    + """
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: c, annotations: {z: "y"}}, data: {k: v, y: "yes", on: on}}
---
{apiVersion: v1, kind: Secret, metadata: {name: s}, stringData: {a: b}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: pc}, value: 3}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: svc
  selector: {matchLabels: {app: db}}
  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db, image: db}], serviceAccountName: sa}}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {storageClassName: fast}}]
---
apiVersion: v1
kind: Service
metadata: {name: svc}
spec: {selector: {app: db}, ports: [{port: 80, targetPort: h, name: x}, {port: 81, name: z}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: cj}
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec: {template: {spec: {containers: [{name: j, image: nginx:2, envFrom: [{configMapRef: {name: c}}]}]}}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec: {template: {spec: {containers: [{name: j, image: a/n:2}]}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: rb}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: r}
subjects:
- {kind: ServiceAccount, name: sa}
- {kind: ServiceAccount, name: default}
- {kind: ServiceAccount, name: other, namespace: x}
- {kind: User, name: sa}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: r}
rules: [{apiGroups: [""], resources: [configmaps], resourceNames: [c, d], verbs: [get]}]
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: sa}, imagePullSecrets: [{name: s}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec:
  tls: [{secretName: s}]
  rules: [{http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: svc, port: {number: 80}}}}]}}]
---
{apiVersion: example.com/v1, kind: Foo, metadata: {name: foo}, spec: {list: [{name: a}], replicas: 1}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: ns}}
---
apiVersion: v1
kind: Pod
metadata: {name: lone, namespace: elsewhere}
spec: {containers: [{name: a, image: nginx}]}
"""
)
MERGES = """
resources: [all.yaml]
namePrefix: p-
patches:
- patch: |-
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web, labels: {new: l, app: null}}
    spec:
      replicas: 3
      template:
        spec:
          containers:
          - {name: b, image: "b:2", args: [q]}
          - name: a
            env: [{name: Y, value: z}, {name: X, $patch: delete}]
            ports: [{containerPort: 81, name: eighty}, {containerPort: 82}]
            volumeMounts: [{mountPath: /b, name: v}]
          - {name: c, image: c}
          tolerations: [{key: b}]
          volumes: [{name: v, emptyDir: {}, secret: null}]
          imagePullSecrets: [{name: t}]
          priorityClassName: null
- patch: |-
    {$patch: delete, apiVersion: v1, kind: Pod, metadata: {name: lone, namespace: elsewhere}}
- patch: '{apiVersion: example.com/v1, kind: Foo, metadata: {name: foo}, spec: {list: [{name: b}], more: 1}}'
- patch: '{apiVersion: v1, kind: Service, metadata: {name: svc}, spec: {ports: [{port: 81, nodePort: 3}, {port: 99}]}}'
- target: {kind: Deployment|StatefulSet}
  patch: '{apiVersion: v1, kind: Any, metadata: {name: any, annotations: {x: "y"}}}'
- {target: {labelSelector: new=l}, path: p.yaml}
"""
REFERENCES = """
apiVersion: v1
kind: ServiceAccount
metadata: {name: sa}
imagePullSecrets: [{name: s}]
secrets: [{name: s}]
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: h}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 2}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: here}
spec: {template: {spec: {serviceAccountName: sa, containers: [{name: c, image: "x:1@sha256:aa"}]}}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: pvc}
spec: {storageClassName: fast, volumeName: pv}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: pv}
spec: {storageClassName: fast}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
parameters: {secretName: s}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: vw}
webhooks: [{name: a, clientConfig: {service: {name: svc, namespace: n1}}}]
---
apiVersion: v1
kind: Service
metadata: {name: svc, namespace: n1}
"""
GENERATORS = """
configMapGenerator:
- name: e
- {name: f, files: [a.txt, k=b.bin], envs: [x.env]}
- name: g
  literals: [a=b]
  options: {disableNameSuffixHash: true, labels: {l: m}, annotations: {q: r}, immutable: true}
secretGenerator:
- {name: t, type: kubernetes.io/tls, literals: [tls.crt=a, tls.key="b"]}
- {name: u, files: [k=b.bin], namespace: z}
generatorOptions: {labels: {all: z}}
"""
REFERRED = """
resources: [r.yaml]
namePrefix: a-
secretGenerator: [{name: s, literals: [x=y]}]
"""
OVERLAY = """
resources: [base]
namespace: o
namePrefix: o-
configMapGenerator: [{name: c, behavior: merge, literals: [q=w]}]
secretGenerator: [{name: s, behavior: replace, literals: [z=v]}]
"""
BASE = """
resources: [web.yaml]
nameSuffix: -b
configMapGenerator: [{name: c, literals: [k=v]}]
secretGenerator: [{name: s, literals: [k=v]}]
"""
COMPONENT = """
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
nameSuffix: -c
configMapGenerator: [{name: c, literals: [x=v]}]
"""
OLD = """
bases: [base]
commonLabels: {team: t}
patchesStrategicMerge:
- p.yaml
- '{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {paused: true}}'
patchesJson6902:
- target: {group: apps, version: v1, kind: Deployment, name: web}
  patch: '[{"op": "remove", "path": "/spec/template/spec/containers/1"}]'
"""
CASES: dict[str, tuple[str, dict[str, str | bytes]]] = {
    "everything at once": (
        "resources: [all.yaml]\nnamespace: prod\nnamePrefix: p-\nnameSuffix: -s\ncommonAnnotations: {a: b}\n"
        "labels: [{pairs: {a: b}}, {pairs: {c: d}, includeTemplates: true}, {pairs: {e: f}, includeSelectors: true}]\n"
        "replicas: [{name: web, count: 4}, {name: db, count: 0}]\nimages:\n- {name: nginx, newTag: v2}\n"
        "- {name: reg:5000/b, newName: other/b}\n- {name: db, digest: 'sha256:9'}\n"
        "- {name: a/n, newName: q, newTag: t, digest: 'sha256:1'}\n",
        {},
    ),
    "order of the files": ("resources: [all.yaml]\nsortOptions: {order: fifo}\n", {}),
    "patches": (MERGES, {"p.yaml": "- {op: replace, path: /spec/template/spec/containers/0/image, value: zz}\n"}),
    "generators": (GENERATORS, {"a.txt": "x\n  y\n", "b.bin": b"\xff\x00", "x.env": "# c\nA=1\n  B=2 \nC\n\nD=x=y\n"}),
    "overlay": (OVERLAY, {"base/kustomization.yaml": BASE, "base/web.yaml": WEB}),
    "component": (
        "resources: [web.yaml]\ncomponents: [part]\nnamePrefix: p-\n", {"part/kustomization.yaml": COMPONENT},
    ),
    "old fields": (
        OLD,
        {"base/kustomization.yaml": "resources: [web.yaml]\n", "base/web.yaml": WEB,
         "p.yaml": "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2}}"},
    ),
    "two of one base": (
        "resources: [one, two]\n",
        {f"{name}/{file}": text for name in ("one", "two") for file, text in {
            "web.yaml": WEB,
            "kustomization.yaml": f"resources: [web.yaml]\nnamePrefix: {name}-\n"
            f"configMapGenerator: [{{name: c, literals: [k={name}]}}]\n",
        }.items()},
    ),
    "references into a namespace": (
        "resources: [base]\nnamespace: nn\n", {"base/r.yaml": REFERENCES, "base/kustomization.yaml": REFERRED},
    ),
    "nothing": ("", {}),
    "an unknown field": ("foo: bar\n", {}),
    "no such file": ("resources: [nope.yaml]\n", {}),
    "a file outside": ("resources: [../../outside.yaml]\n", {"../../outside.yaml": WEB}),
    "one name twice": ("resources: [web.yaml, two.yaml]\n", {"two.yaml": WEB}),
    "a circle": ("resources: [../case]\n", {}),
    "no target": ("resources: [web.yaml]\npatches: [{patch: '{apiVersion: v1, kind: A, metadata: {name: p}}'}]\n", {}),
    "no text": ("commonAnnotations: {a: yes}\n", {}),
    "a bad literal": ("configMapGenerator: [{name: c, literals: [a]}]\n", {}),
    "a key twice": ("configMapGenerator: [{name: c, literals: [a=1, a=2]}]\n", {}),
    "no replicas": ("resources: [web.yaml]\nreplicas: [{name: x, count: 1}]\n", {}),
    "no component": ("components: [part]\n", {"part/kustomization.yaml": "namePrefix: x\n"}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_builds_what_kubectl_builds(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "cases" / "case"
    folder.mkdir(parents=True)
    kustomization, files = CASES[case]
    for name, text in {"all.yaml": ALL, "web.yaml": WEB, "kustomization.yaml": kustomization, **files}.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    program = [str(KUBECTLS["1.33"]), "kustomize", str(folder)]
    real = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    said: list[str] = []
    try:
        mini = build(str(folder), said.append)
    except UsageError as error:
        mini = ""
        said.append(f"error: {error}")
    assert mini == real.stdout
    assert said == real.stderr.splitlines()
