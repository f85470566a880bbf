"""Gathers from the kubelets what nodes and pods use, for metrics.k8s.io.

It keeps nothing but the kubelets' last answers, and needs of the API server only where a kubelet is: so it can move
into a process of its own behind an APIService without a change for clients or kubelets.
"""
