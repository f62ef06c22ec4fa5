"""The example in Python: gets and sets through `wasi:keyvalue/store`."""

from wit_world import exports
from wit_world.imports import store


class Api(exports.Api):
    def get(self, bucket, key):
        with store.open(bucket) as opened:
            return opened.get(key)

    def set(self, bucket, key, value):
        with store.open(bucket) as opened:
            opened.set(key, value)
