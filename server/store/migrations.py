"""Numbered migrations: expand first, contract a release later, because an update may roll back."""

from __future__ import annotations

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE devices (
        id TEXT PRIMARY KEY, name TEXT NOT NULL, hardware TEXT NOT NULL, version TEXT NOT NULL,
        station TEXT NOT NULL, province TEXT NOT NULL, groups TEXT NOT NULL,
        secret_sha256 TEXT NOT NULL, mqtt_hash TEXT NOT NULL, enrolled TEXT NOT NULL
    ) STRICT;
    CREATE TABLE codes (
        hash TEXT PRIMARY KEY, prefix TEXT NOT NULL, name TEXT NOT NULL, groups TEXT NOT NULL,
        created TEXT NOT NULL, expires TEXT NOT NULL, tries INTEGER NOT NULL DEFAULT 0, used_by TEXT
    ) STRICT;
    CREATE TABLE media (
        sha256 TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, title TEXT NOT NULL,
        size_bytes INTEGER NOT NULL, duration_ms INTEGER NOT NULL, created TEXT NOT NULL,
        source TEXT NOT NULL
    ) STRICT;
    CREATE TABLE schedules (
        id TEXT NOT NULL, version INTEGER NOT NULL, sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL,
        document BLOB NOT NULL, created TEXT NOT NULL, PRIMARY KEY (id, version)
    ) STRICT;
    CREATE INDEX schedules_sha256 ON schedules (sha256);
    CREATE TABLE documents (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, device TEXT NOT NULL REFERENCES devices (id),
        issuer TEXT NOT NULL, seq INTEGER NOT NULL, schedule_id TEXT, schedule_version INTEGER,
        schedule_sha256 TEXT, envelope BLOB NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL,
        pushed TEXT
    ) STRICT;
    CREATE INDEX documents_device ON documents (device, kind, seq);
    CREATE TABLE given (
        device TEXT NOT NULL, sha256 TEXT NOT NULL, kind TEXT NOT NULL, until TEXT NOT NULL,
        PRIMARY KEY (device, sha256)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sequences (
        issuer TEXT NOT NULL, scope TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (issuer, scope)
    ) STRICT;
    CREATE TABLE reports (
        n INTEGER PRIMARY KEY, device TEXT NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, at TEXT NOT NULL,
        received TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (device, id)
    ) STRICT;
    CREATE INDEX reports_kind ON reports (device, kind, at);
    CREATE TABLE airings (
        device TEXT NOT NULL, airing TEXT NOT NULL, zone TEXT NOT NULL, planned_start TEXT NOT NULL,
        received TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (device, airing, zone)
    ) STRICT;
    CREATE INDEX airings_start ON airings (planned_start);
    CREATE TABLE latest (
        device TEXT NOT NULL, kind TEXT NOT NULL, received TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (device, kind)
    ) STRICT;
    CREATE TABLE operators (
        token_sha256 TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL
    ) STRICT;
    CREATE TABLE tickets (hash TEXT PRIMARY KEY, expires TEXT NOT NULL) STRICT;
    CREATE TABLE sessions (hash TEXT PRIMARY KEY, expires TEXT NOT NULL) STRICT;
    """,
    # Beside `documents`, not in it: the former server goes on inserting there if an update rolls back.
    """
    CREATE TABLE orders (
        id TEXT PRIMARY KEY REFERENCES documents (id), batch TEXT NOT NULL, scope_kind TEXT NOT NULL,
        scope TEXT NOT NULL, author TEXT NOT NULL, revision INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX orders_batch ON orders (batch);
    CREATE INDEX orders_scope ON orders (scope_kind, scope);
    CREATE TABLE batches (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, created TEXT NOT NULL, expires TEXT NOT NULL,
        author TEXT NOT NULL, request TEXT, digest TEXT NOT NULL, body TEXT NOT NULL,
        targets TEXT NOT NULL, cancels TEXT, ended_by TEXT, UNIQUE (kind, request)
    ) STRICT;
    CREATE INDEX batches_kind ON batches (kind, id);
    CREATE INDEX batches_expires ON batches (expires);
    CREATE TABLE order_media (
        sha256 TEXT NOT NULL, document TEXT NOT NULL REFERENCES documents (id),
        PRIMARY KEY (sha256, document)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE settings (
        n INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, value TEXT NOT NULL,
        author TEXT NOT NULL, changed TEXT NOT NULL, UNIQUE (name, version)
    ) STRICT;
    CREATE INDEX reports_job ON reports (json_extract(body, '$.job')) WHERE kind = 'job';
    CREATE INDEX reports_subject ON reports (json_extract(body, '$.subject')) WHERE kind = 'event';
    CREATE INDEX order_media_document ON order_media (document);
    CREATE INDEX documents_expires ON documents (expires);
    CREATE INDEX documents_waiting ON documents (kind) WHERE pushed IS NULL;
    """,
    """
    CREATE TABLE IF NOT EXISTS cap_filters (
        version INTEGER PRIMARY KEY, value TEXT NOT NULL, author TEXT NOT NULL, changed TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS cap_documents (
        n INTEGER PRIMARY KEY AUTOINCREMENT, feed TEXT NOT NULL, received TEXT NOT NULL,
        sha256 TEXT NOT NULL, size_bytes INTEGER NOT NULL, outcome TEXT NOT NULL, reason TEXT NOT NULL,
        field TEXT NOT NULL, message TEXT NOT NULL, filter_version INTEGER NOT NULL,
        identifier TEXT NOT NULL, sender TEXT NOT NULL, sent TEXT NOT NULL, status TEXT NOT NULL,
        msg_type TEXT NOT NULL, event TEXT NOT NULL, signed INTEGER NOT NULL, emergency TEXT,
        cancelled TEXT NOT NULL, times INTEGER NOT NULL, body BLOB
    ) STRICT;
    CREATE INDEX IF NOT EXISTS cap_documents_same ON cap_documents (sha256);
    CREATE TABLE IF NOT EXISTS cap_ended (
        key TEXT NOT NULL, actual INTEGER NOT NULL, at TEXT NOT NULL, PRIMARY KEY (key, actual)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS cap_ended_at ON cap_ended (at);
    """,
    """
    CREATE TABLE IF NOT EXISTS pictures (
        sha256 TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, title TEXT NOT NULL,
        content_type TEXT NOT NULL, size_bytes INTEGER NOT NULL, width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL, duration_ms INTEGER NOT NULL, created TEXT NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS pictures_kind ON pictures (kind, id);
    CREATE INDEX IF NOT EXISTS reports_picture ON reports (device, json_extract(body, '$.sha256'))
        WHERE kind = 'screen';
    """,
)
