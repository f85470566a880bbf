"""The launcher: a cluster of real processes on one machine, brought up, repaired and taken away.

`layout` names paths, `state` records what was chosen for a cluster, `pki` and `kubeconfig` write identities,
`components` describes the processes, `supervisor` keeps them alive, `hosts` builds the worker hosts' network,
`sweep` removes whatever is left. `cluster` puts these together for `cli`, `demo` and the pytest plugin.
"""
