"""most-pods: the group that helps the most pods."""

from cluster_autoscaler.expanders._expander import Expander

EXPANDER = Expander(
    "most-pods",
    lambda options, priorities: [
        item for item in options if len(item.pods) == max(len(other.pods) for other in options)
    ],
)
