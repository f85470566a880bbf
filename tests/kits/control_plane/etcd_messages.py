"""The messages of etcd's API as classes, built from the descriptors that the etcd3 package brings.

Its generated modules load only with protobuf's pure Python implementation, which a process chooses once: another
process reads the descriptors from them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64decode
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_SCRIPT = """
from base64 import b64encode
from etcd3.etcdrpc import auth_pb2, kv_pb2, rpc_pb2
for module in (auth_pb2, kv_pb2, rpc_pb2):
    print(b64encode(module.DESCRIPTOR.serialized_pb).decode())
"""


def load_messages() -> Any:
    """A namespace of message classes by their short names, such as `PutRequest`."""
    environment = {**os.environ, "PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    command = [sys.executable, "-W", "ignore", "-c", _SCRIPT]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    pool = descriptor_pool.DescriptorPool()
    files = [descriptor_pb2.FileDescriptorProto.FromString(b64decode(line)) for line in output.split()]
    for file in files:
        pool.Add(file)
    return SimpleNamespace(
        **{
            message.name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{file.package}.{message.name}"))
            for file in files
            for message in file.message_type
        },
    )


etcdrpc = load_messages()
