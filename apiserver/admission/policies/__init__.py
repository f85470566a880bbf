"""Admission policies: what requests must be like, and how they are completed, written as expressions."""
