"""PostgreSQL: the pool, the statements, the migrations. Every SQL literal of Safelight is in here.

pool        connections, and running a statement from ``sql/`` by its name
sql/        one statement a file, named by operation, with its purpose on top
sessions    what every session is told, and giving up one that does not answer
lookups     many small reads by one statement
listen      hearing notifications
outage      writing what has happened, though the database is away for a while
migrate     bringing a database to the newest revision; migration_steps: what takes long, beside running nodes
migrations  the revisions, in plain SQL
embedded    a PostgreSQL of our own in the data folder; binaries: its programs, by major version
dump        a database in one moment as a stream of bytes, and back
"""
