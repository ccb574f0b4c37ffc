-- A process ends.
delete from process_facts where runner = %(runner)s;
