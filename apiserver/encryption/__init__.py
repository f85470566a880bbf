"""Encryption at rest: what etcd holds of the resources that an EncryptionConfiguration lists."""
