"""Admission plugins about claims, volumes and their classes."""
