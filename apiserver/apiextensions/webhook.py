"""Asks a conversion webhook for objects in another version, and holds it to what a conversion may change.

Source: Kubernetes documentation, "Webhook conversion".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import orjson

from apimachinery.custom import CustomObject
from apimachinery.errors import UnclassifiedError
from apimachinery.splice import split_owners
from apiserver.apiextensions.objects import CustomSchema, encoded
from apiserver.proxy.services import ServiceLocator
from apiserver.proxy.webhooks import WebhookClient, WebhookFailed
from apiserver.registry.validation import validate_labels_and_annotations
from kubeapi.apiextensions.customresourcedefinition import WebhookClientConfig, WebhookConversion

Dict = dict[str, Any]

CALL_SECONDS = 30.0
MAX_OBJECTS = 500  # in one review; a list of more is converted in parts
GROUP = "apiextensions.k8s.io"


class ConversionWebhook:
    """The webhook of a definition; `config` is its `spec.conversion.webhook`."""

    def __init__(self, config: Dict, locator: ServiceLocator) -> None:
        webhook = WebhookConversion.model_validate(config)
        self._client = WebhookClient(webhook.clientConfig or WebhookClientConfig(), locator)
        self._versions = webhook.conversionReviewVersions

    def close(self) -> None:
        """Gives up the connections; those in use end with their call."""
        self._client.close()

    async def convert(self, values: Sequence[bytes], schema: CustomSchema) -> list[bytes]:
        """Returns encoded objects in the version of the schema, pruned. Raises: UnclassifiedError."""
        converted: list[bytes] = []
        for start in range(0, len(values), MAX_OBJECTS):
            converted += await self._convert(values[start : start + MAX_OBJECTS], schema)
        return converted

    async def _convert(self, values: Sequence[bytes], schema: CustomSchema) -> list[bytes]:
        plain = [split_owners(value) for value in values]
        sent = [orjson.loads(value) for value, _ in plain]
        wrong = [index for index, obj in enumerate(sent) if obj["apiVersion"] != schema.api_version]
        what = f"conversion webhook for {_gvk(sent[wrong[0]] if wrong else sent[0])}"
        try:
            answers = await self._ask([sent[index] for index in wrong], schema.api_version) if wrong else []
        except WebhookFailed as error:
            raise UnclassifiedError(f"{what} failed: {error}") from None
        if len(answers) != len(wrong):
            raise UnclassifiedError(f"{what} returned {len(answers)} objects, expected {len(wrong)}")
        for place, (index, answer) in enumerate(zip(wrong, answers, strict=True)):
            try:
                sent[index] = _checked(sent[index], answer, place, schema.api_version)
            except WebhookFailed as error:
                raise UnclassifiedError(f"{what} returned invalid {error}") from None
        return [_pruned(obj, owners, schema) for obj, (_, owners) in zip(sent, plain, strict=True)]

    async def _ask(self, objects: list[Dict], api_version: str) -> list[Any]:
        """Raises: WebhookFailed."""
        version = next((name for name in self._versions if name in ("v1", "v1beta1")), "")
        if not version:
            raise WebhookFailed(f"no supported conversion review versions: {', '.join(self._versions)}")
        uid = str(uuid4())
        review = {
            "kind": "ConversionReview",
            "apiVersion": f"{GROUP}/{version}",
            "request": {"uid": uid, "desiredAPIVersion": api_version, "objects": objects},
        }
        answer = await self._client.post(orjson.dumps(review), CALL_SECONDS)
        kind = (answer.get("apiVersion"), answer.get("kind"))
        if kind != (review["apiVersion"], review["kind"]):
            expected = f"{review['apiVersion']}, Kind=ConversionReview"
            raise WebhookFailed(f"expected webhook response of {expected}, got {kind[0] or ''}, Kind={kind[1] or ''}")
        response = answer.get("response")
        if not isinstance(response, dict):
            raise WebhookFailed("no response provided")
        if response.get("uid") != uid:
            raise WebhookFailed(f'expected response.uid="{uid}", got "{response.get("uid") or ""}"')
        result = response.get("result")
        result = result if isinstance(result, dict) else {}
        if result.get("status") != "Success":
            text = f"response.result.status was '{result.get('status') or ''}', not 'Success'"
            raise WebhookFailed(str(result.get("message") or text))
        converted = response.get("convertedObjects")
        return converted if isinstance(converted, list) else []


def _gvk(obj: Dict) -> str:
    return f"{obj['apiVersion']}, Kind={obj['kind']}"


def _checked(sent: Dict, answer: Any, place: int, api_version: str) -> Dict:
    """The answer with the metadata of the object, but for labels and annotations. Raises: WebhookFailed."""
    bad, bad_meta = f"converted object at index {place}: ", f"metadata in object at index {place}: "
    if not isinstance(answer, dict) or not isinstance(answer.get("metadata"), dict):
        raise WebhookFailed(bad + "missing metadata")
    if answer.get("apiVersion") != api_version:
        raise WebhookFailed(
            f"{bad}invalid groupVersion (expected {api_version}, received {answer.get('apiVersion') or ''})"
        )
    if answer.get("kind") != sent["kind"]:
        raise WebhookFailed(f"{bad}invalid kind (expected {sent['kind']}, received {answer.get('kind') or ''})")
    meta, own = answer["metadata"], sent["metadata"]
    for name, title in (("name", "name"), ("namespace", "namespace"), ("uid", "UID")):
        if (meta.get(name) or "") != (own.get(name) or ""):
            raise WebhookFailed(f"{bad}must have the same {title}: {own.get(name) or ''} != {meta.get(name) or ''}")
    kept = {name: value for name, value in own.items() if name not in ("labels", "annotations")}
    for name in ("labels", "annotations"):
        members = meta.get(name)
        if members is None:
            continue
        if not isinstance(members, dict) or not all(isinstance(value, str) for value in members.values()):
            raise WebhookFailed(f"{bad_meta}metadata.{name} is not a map of strings")
        if members:
            kept[name] = members
    errors = validate_labels_and_annotations(kept.get("labels"), kept.get("annotations"))
    if errors:
        raise WebhookFailed(bad_meta + ", ".join(map(str, errors)))
    return answer | {"metadata": kept}


def _pruned(document: Dict, owners: bytes, schema: CustomSchema) -> bytes:
    obj = CustomObject.model_validate(document)
    schema.prune(obj)
    return encoded(obj, owners)
