"""The index: LSH buckets in Redis, and shards that are searchable at once and never rebuilt whole.

In reading order: `vectors`, `ranking`, `policy` (pure), `files`, `manifest`, `memtable`, `segment`, `merging`,
`snapshot`, `tombstones`, `folder`, `writer`, `shard` (the disk side); `lsh`, `buckets` (the Redis side).
"""
