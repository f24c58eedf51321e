# Licensed under a 3-clause BSD style license - see LICENSE
"""
Matrix products in one thread each, while threads of ours are at work.

Libraries of linear algebra share each product among as many threads as there are processors. Beside threads that keep
the processors busy already, those only wait for each other.
"""

import threading
from contextlib import contextmanager

__all__ = ["one_blas_thread"]

_LOCK = threading.Lock()
_USERS: list = []  # of the limit: the first one sets it, the last one lifts it, in whatever order they end


@contextmanager
def one_blas_thread():
    """
    Keep matrix products of this process to one thread each, until the last of those who ask for it has ended.

    Examples
    --------
    >>> from threadpoolctl import threadpool_info
    >>> from astro_photz.utils._blas import one_blas_thread
    >>> with one_blas_thread():
    ...     {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"} <= {1}
    True
    """
    from threadpoolctl import threadpool_limits

    with _LOCK:
        _USERS.append(_USERS[0] if _USERS else threadpool_limits(limits=1, user_api="blas"))
    try:
        yield
    finally:
        with _LOCK:
            limits = _USERS.pop()
            if not _USERS:
                limits.restore_original_limits()
