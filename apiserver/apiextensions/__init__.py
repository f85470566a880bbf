"""Kinds that are added at run time: CustomResourceDefinitions and their objects."""
