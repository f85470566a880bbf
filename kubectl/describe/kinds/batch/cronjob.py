"""CronJobs, with the Jobs that run."""

from __future__ import annotations

from kubectl.api.client import Dict
from kubectl.describe.section import DescribeSection
from kubectl.describe.template import pod_template
from kubectl.describe.writer import TextWriter, when
from kubectl.input.pods import selector_text
from kubectl.invocation.command import CommandContext

_UNSET = "<unset>"


def _write(context: CommandContext, writer: TextWriter, obj: Dict) -> None:
    spec, status = obj["spec"], obj.get("status", {})
    writer.head(obj)
    writer.field("Schedule", spec["schedule"])
    writer.field("Concurrency Policy", spec["concurrencyPolicy"])
    writer.field("Suspend", str(spec.get("suspend", _UNSET)))
    writer.field("Successful Job History Limit", spec.get("successfulJobsHistoryLimit", _UNSET))
    writer.field("Failed Job History Limit", spec.get("failedJobsHistoryLimit", _UNSET))
    deadline = spec.get("startingDeadlineSeconds")
    writer.field("Starting Deadline Seconds", _UNSET if deadline is None else f"{deadline}s")
    job = spec["jobTemplate"]["spec"]
    writer.field("Selector", selector_text(job["selector"]) if job.get("selector") else _UNSET)
    writer.field("Parallelism", job.get("parallelism", _UNSET))
    writer.field("Completions", job.get("completions", _UNSET))
    if "activeDeadlineSeconds" in job:
        writer.field("Active Deadline Seconds", f"{job['activeDeadlineSeconds']}s")
    pod_template(writer, job["template"])
    writer.field("Last Schedule Time", when(status.get("lastScheduleTime")))
    writer.field("Active Jobs", ", ".join(ref["name"] for ref in status.get("active") or ()) or None)


DESCRIBE = DescribeSection(_write, "batch")
