-- The items that the catalog asks for: the manifests of the live shards, and the shards they are in. Not truth: each
-- process makes it from ledger and manifests. No constraints and no indexes: DuckDB scans columns.

-- One shard under one name. Two names may share a digest: their items are the same. record is the Shard's JSON.
create table shard (
    seq bigint, digest varchar, name varchar, source varchar, license varchar, live boolean, record varchar
);

-- One manifest row of a live shard. Withdrawn shards are left out, so that no projection names what was removed.
create table item (
    shard varchar, digest varchar, key varchar, subject varchar, source varchar, license varchar, n_bytes bigint,
    written varchar
);
