-- The revision that the database is at.
select max(version_num) from alembic_version;
