"""A thin typed client of a Mneme server, with the names, records and errors of the library.

    with Client("http://127.0.0.1:8377", key="mneme_...") as server:
        alice = server.namespace("alice")
        alice.add("I moved to Oslo in March.")
        print(alice.recall("Where do I live?").text)

`AsyncClient` has the same verbs as coroutines. Both need the extra `client`.
"""

from __future__ import annotations

from mneme.client.client import AsyncClient, Client
from mneme.client.namespace import AsyncRemoteNamespace, RemoteNamespace

__all__ = ["AsyncClient", "AsyncRemoteNamespace", "Client", "RemoteNamespace"]
