-- Keep the result of the newest check of the books.
insert into books_check (problems) values (%(problems)s::text[])
on conflict (is_newest) do update set problems = excluded.problems, checked_at = excluded.checked_at;
