-- End every session: those of a backup are not known to be whose they were.
delete from dashboard_sessions;
