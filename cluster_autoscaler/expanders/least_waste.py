"""least-waste: the machines of which the smallest share stays unused."""

from cluster_autoscaler.expanders._expander import Expander

EXPANDER = Expander(
    "least-waste",
    lambda options, priorities: [item for item in options if item.waste == min(other.waste for other in options)],
)
