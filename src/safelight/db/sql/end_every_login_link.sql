-- End every link to come in by, likewise.
delete from login_links;
