-- End a session.
delete from dashboard_sessions where sha256 = %(sha256)s;
