"""
Locks that end with the process that holds them.

Twisted judges by a process number whether the owner of a file still runs.  The
number means nothing where the file outlives the system that counted it, as on the
volume of a container, in which every server is process 1.  The locks here are the
system's own (C{flock}): it drops them when the process ends, however that ends.
"""

from __future__ import annotations

import errno
import os
import socket
import stat

from twisted.internet.error import CannotListenError
from twisted.logger import Logger

_log = Logger()

# What the system answers about the file of a socket at which no process listens.
_STALE = frozenset({errno.ECONNREFUSED, errno.ENOENT})


class FileLock:
    """
    A lock on a file, held by one process.

    @ivar path: The path of the file.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._fileno = -1

    def acquire(self, create: bool = True) -> bool:
        """
        Lock the file.

        @param create: Whether to make the file if there is none.

        @return: False if another process holds the lock.

        @raise OSError: If the file cannot be opened.
        """
        import fcntl

        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | (os.O_CREAT if create else 0)
        while True:
            fileno = os.open(self.path, flags, 0o600)
            try:
                fcntl.flock(fileno, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The holder may have removed the file since it was opened.
                isThere = os.path.samestat(os.fstat(fileno), os.lstat(self.path))
            except BlockingIOError:
                os.close(fileno)
                return False
            except FileNotFoundError:
                isThere = False
            except BaseException:
                os.close(fileno)
                raise
            if isThere:
                self._fileno = fileno
                return True
            os.close(fileno)

    def release(self) -> None:
        """
        Unlock the file, and leave it there.  Does nothing if it is not locked.
        """
        fileno, self._fileno = self._fileno, -1
        if fileno >= 0:
            os.close(fileno)

    def unlock(self) -> None:
        """
        Remove the file, and unlock it.  Does nothing if it is not locked.
        """
        if self._fileno >= 0:
            try:
                os.unlink(self.path)
            except OSError as error:
                _log.warn("{path} is left: {error}", path=self.path, error=error.strerror)
            self.release()


# -- UNIX sockets


def lockSocket(path: str) -> FileLock:
    """
    Lock the path of a UNIX socket, and remove the socket that a killed server
    left there.

    @raise CannotListenError: If another server listens there, or the lock cannot
        be made.
    """
    lock = FileLock(f"{path}.lock")
    try:
        _removeTwistedsLock(lock.path)
        if not lock.acquire():
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        try:
            _removeStaleSocket(path)
        except BaseException:
            lock.unlock()
            raise
    except OSError as error:
        raise CannotListenError(None, path, error) from None
    return lock


def _removeTwistedsLock(path: str) -> None:
    """
    Remove a lock of Twisted's: a symbolic link to a process number.
    """
    if os.path.islink(path):
        os.unlink(path)


def _removeStaleSocket(path: str) -> None:
    """
    Remove a socket at which no process listens.

    @raise OSError: If a process listens there.
    """
    try:
        isSocket = stat.S_ISSOCK(os.lstat(path).st_mode)
    except FileNotFoundError:
        return
    if not isSocket:
        # To bind fails, and tells why.
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        # A full queue must not make the start wait.
        client.setblocking(False)
        found = client.connect_ex(path)
    if found not in _STALE:
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    os.unlink(path)


# -- twistd's pid file


def removeStalePIDFile(path: str) -> None:
    """
    Remove the pid file of a server that was killed, before C{twistd} reads it:
    C{twistd} would not start while any process has the number in it.

    A pid file that a running server L{holds<holdPIDFile>} stays.
    """
    lock = FileLock(path)
    try:
        if lock.acquire(create=False):
            if stat.S_ISREG(os.lstat(path).st_mode):
                _log.warn("{path} is of a server that was killed: removing it", path=path)
                lock.unlock()
            lock.release()
    except OSError:
        # There is no such file, or twistd will say what is wrong with it.
        pass


def holdPIDFile(path: str) -> FileLock | None:
    """
    Lock the pid file of this process until the process ends.

    @return: The lock, or L{None} if the file cannot be locked.
    """
    lock = FileLock(path)
    try:
        if lock.acquire(create=False):
            return lock
    except OSError:
        # twistd wrote none.
        pass
    return None
