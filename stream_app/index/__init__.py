"""The index: LSH buckets in Redis, and shards that are searchable at once and never rebuilt whole.

In reading order: `vectors`, `ranking`, `policy` (pure), `files`, `manifest`, `memtable`, `segment`, `sieve`,
`closest`, `best`, `sweep` (a search, in compiled code), `tombstones`, `snapshot`, `merging`, `folder`, `writer`,
`shard` (on disk); `inspection`, `verification`, `compaction` (of what lies on disk, for the command line); `lsh`,
`scripts`, `buckets` (in Redis).
"""
