"""Object code on disk, so that the next process need not compile. Knows files; knows nothing of what they hold.

What is read here is executed, so only files are read that this user wrote: the owner and the permissions are checked on the open
file, and a checksum over name and content tells damage. Whatever is wrong with a file or the folder, the answer is "not
there": code is then compiled, and the file written anew.
"""

import hashlib
import os
import stat
import sys
import tempfile
import time

from ...core.config import config

LIMIT = 256 * 2**20  # bytes; beyond it the entries that were not used for longest go
_MAGIC = b"adjoint object 1"
_HEADER = len(_MAGIC) + 8 + 32  # magic, length, digest
_SUFFIX = ".obj"
_UNFINISHED = ".unfinished-"  # the prefix of files being written
_TOUCH = 3600.0  # seconds: the time of last use is no finer than this, so that a read is rarely a write as well
_PRUNE_EVERY = 64

_puts = 0


def key(*parts: str) -> str:
    """The name of an entry: a digest of everything the object code depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def folder() -> str | None:
    """The folder in use, whether or not it exists yet; None if there is to be no cache."""
    setting = str(config.cache)
    word = setting.strip().lower()
    if word in ("0", "off", "no", "false"):
        return None
    if word not in ("", "1", "on", "yes", "true"):
        return os.path.abspath(os.path.expanduser(setting))
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA", "")
    elif sys.platform == "darwin":
        base = os.path.expanduser("~/Library/Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME", "")
        if not os.path.isabs(base):  # the XDG specification says to ignore such a value
            base = os.path.expanduser("~/.cache")
    return os.path.join(base, "adjoint", "code") if os.path.isabs(base) else None


def get(key: str) -> bytes | None:
    """The object code put under `key`, or None."""
    where = folder()
    if where is None:
        return None
    path = os.path.join(where, key + _SUFFIX)
    try:
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0))
    except (OSError, ValueError):
        return None
    try:
        with open(file, "rb") as f:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode) or not _ours(status) or status.st_size > LIMIT:
                return None
            data = f.read()
        code = _unpack(key, data)
        if code is not None and time.time() - status.st_mtime > _TOUCH:
            os.utime(path)
        return code
    except OSError:
        return None


def put(key: str, code: bytes) -> None:
    """Keep object code under `key`, if possible."""
    global _puts
    where = folder()
    if where is None or len(code) + _HEADER > LIMIT:
        return
    unfinished = None
    try:
        os.makedirs(where, mode=0o700, exist_ok=True)
        if not _ours(os.stat(where)):
            return
        file, unfinished = tempfile.mkstemp(prefix=_UNFINISHED, dir=where)  # for this user's eyes only (0600)
        with open(file, "wb") as f:
            f.write(_pack(key, code))
        os.replace(
            unfinished, os.path.join(where, key + _SUFFIX)
        )  # readers see the old file or the new one, never a part
        unfinished = None
        if _puts % _PRUNE_EVERY == 0:
            _prune(where, LIMIT)
        _puts += 1
    except (OSError, ValueError):
        if unfinished is not None:
            _remove(unfinished)


def clear() -> int:
    """Remove all entries; how many there were."""
    where = folder()
    return 0 if where is None else _prune(where, -1)


def _pack(key, code):
    return _MAGIC + len(code).to_bytes(8, "little") + hashlib.sha256(key.encode() + code).digest() + code


def _unpack(key, data):
    """The code in a file's content; None if the content is not whole, or not that of `key`."""
    code = data[_HEADER:]
    return code if code and data == _pack(key, code) else None


def _ours(status):
    """Whether this user owns it and nobody else may write to it."""
    if not hasattr(os, "geteuid"):
        return True  # Windows: the folder lies in the user's own profile
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _prune(where, limit):
    """Remove unfinished files that were left, and the entries longest unused until a quarter of `limit` is free again."""
    now = time.time()
    entries, removed = [], 0
    if not os.path.isdir(where):
        return 0
    with os.scandir(where) as found:
        for entry in found:
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                continue  # another process removed it
            if entry.name.startswith(_UNFINISHED) and now - status.st_mtime > 600:
                _remove(entry.path)
            elif entry.name.endswith(_SUFFIX) and len(entry.name) == 64 + len(_SUFFIX):
                entries.append((status.st_mtime, status.st_size, entry.path))
    total = sum(size for _, size, _ in entries)
    if total <= limit:
        return 0
    for _, size, path in sorted(entries):
        if total <= limit * 3 // 4 and limit >= 0:
            break
        _remove(path)
        total -= size
        removed += 1
    return removed


def _remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass
