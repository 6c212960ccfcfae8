-- The projection that the catalog asks: the ledger's lineage facts folded into what holds now, and the manifests of the
-- live shards. Not truth: each process makes it from these. No constraints and no indexes: DuckDB scans columns.

-- One lineage fact as it stands in the ledger; subject is the name of the shard, component or release it is about.
create table fact (
    seq bigint, happened varchar, kind varchar, body varchar, previous varchar, digest varchar, subject varchar
);

-- One shard under one name. Two names may share a digest: their items are the same. record is the Shard's JSON.
create table shard (
    seq bigint, digest varchar, name varchar, source varchar, license varchar, core boolean, count bigint,
    derived_from varchar, live boolean, record varchar
);

-- One manifest row of a live shard. Withdrawn shards are left out, so that no projection names what was removed.
create table item (
    shard varchar, digest varchar, key varchar, subject varchar, source varchar, license varchar, n_bytes bigint
);

-- One component under one name. Two names may share a digest: then what shaped either shaped both.
create table component (
    seq bigint, digest varchar, name varchar, kind varchar, live boolean, record varchar
);

-- That source (the digest of a shard or a component) shaped the component with digest target, as role.
create table use (source varchar, target varchar, role varchar);

create table composition (digest varchar, record varchar);
create table member (composition varchar, component varchar);

-- The last release under a name and alias. id is name@alias, which is no digest and so shares one namespace with them.
create table release (
    seq bigint, id varchar, name varchar, alias varchar, composition varchar, contained boolean, live boolean
);

-- Every step that influence takes: into a component by its use, into a release as a member of its composition.
create view edge as
    select source, target, role from use
    union
    select member.component as source, release.id as target, 'member' as role
    from release join member on member.composition = release.composition;

-- The digest of the last fact taken, "" before the first.
create table made (lineage_head varchar);
insert into made values ('');
