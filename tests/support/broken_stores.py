"""Stores that fail, from some call on or in one."""

from promptcache.errors import StoreError


class BrokenStore:
    """A store whose calls fail from one of them on, until it is mended."""

    def __init__(self, store, *, after=0):
        self._store = store
        self.left = after
        self.calls = 0

    def __getattr__(self, name):
        method = getattr(self._store, name)

        def call(*args, **options):
            self.calls += 1
            if self.left is not None:
                if self.left <= 0:
                    raise StoreError("nowhere", "it is broken")
                self.left -= 1
            return method(*args, **options)

        return call


class ForgetfulStore(BrokenStore):
    """A store of which one call of a method fails, done or not."""

    def __init__(self, store, method, *, at, done):
        super().__init__(store)
        self._method, self._at, self._done = method, at, done

    def __getattr__(self, name):
        method = getattr(self._store, name)
        if name != self._method:
            return method

        def call(*args, **options):
            self._at -= 1
            if self._at or self._done:
                result = method(*args, **options)
            if not self._at:
                raise StoreError("nowhere", "it was cut off")
            return result

        return call
