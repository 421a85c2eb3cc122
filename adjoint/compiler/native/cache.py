"""Object code on disk, so that the next process need not compile. Knows files; knows nothing of what they hold."""

import hashlib


def key(*parts: str) -> str:
    """The name of an entry: a digest of everything the object code depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def get(key):
    return None


def put(key, code):
    pass
