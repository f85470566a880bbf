"""Models kinds as far as the scheduler reads them.

A cluster has thousands of pods and nodes, and the scheduler keeps them all: a view of a pod takes half the memory
of the whole and half the time to decode. Views are for reading; what the scheduler writes are patches and bindings.
"""
