"""Makes Jobs and CronJobs from flags, and a Job of a CronJob by hand, for `create`."""

from __future__ import annotations

import argparse

from kubectl.api.client import Dict
from kubectl.input.targets import named
from kubectl.invocation.command import CommandContext, UsageError

MANUAL = {"cronjob.kubernetes.io/instantiate": "manual"}


def add_job(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--image", default="", help="image of the container; what follows -- is its command")
    parser.add_argument("--from", dest="origin", default="", metavar="CRONJOB/NAME", help="run this CronJob once, now")
    parser.set_defaults(words=[])
    return [parser]


def job(context: CommandContext, args: argparse.Namespace) -> Dict:
    if bool(args.image) == bool(args.origin):
        raise UsageError("either --image or --from must be specified")
    if args.origin:
        if args.words:
            raise UsageError("cannot specify --from and command")
        return _job_of_cron_job(context, args)
    spec = {"template": _template(args, "Never")}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": args.name}, "spec": spec, "status": {}}


def _job_of_cron_job(context: CommandContext, args: argparse.Namespace) -> Dict:
    target = named(context, [args.origin])[0]
    if not target.name:
        raise UsageError("from must be an existing cronjob")
    if target.kind.kind != "CronJob":
        raise UsageError(f"unknown object type *{target.kind.version}.{target.kind.kind}")
    cron_job = context.api.request("GET", target.path)
    template = cron_job["spec"]["jobTemplate"]
    meta: Dict = template.get("metadata") or {}
    reference = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "name": cron_job["metadata"]["name"],
        "uid": cron_job["metadata"]["uid"],
        "controller": True,
    }
    metadata: Dict = {
        "name": args.name,
        "annotations": MANUAL | (meta.get("annotations") or {}),
        "ownerReferences": [reference],
    }
    if meta.get("labels"):
        metadata["labels"] = meta["labels"]
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": template["spec"], "status": {}}


def add_cron_job(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--image", required=True, help="image of the container; what follows -- is its command")
    parser.add_argument("--schedule", required=True, metavar="CRON", help='when it runs, such as "0 6 * * MON-FRI"')
    parser.add_argument("--restart", default="OnFailure", metavar="OnFailure|Never", help="restart policy of the pods")
    parser.set_defaults(words=[])
    return [parser]


def cron_job(context: CommandContext, args: argparse.Namespace) -> Dict:
    template = {"metadata": {"name": args.name}, "spec": {"template": _template(args, args.restart)}}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": args.name},
        "spec": {"schedule": args.schedule, "jobTemplate": template},
        "status": {},
    }


def _template(args: argparse.Namespace, restart_policy: str) -> Dict:
    container: Dict = {"name": args.name, "image": args.image, "resources": {}}
    if args.words:
        container["command"] = args.words
    return {"metadata": {}, "spec": {"containers": [container], "restartPolicy": restart_policy}}
