-- What the newest check of the books found, and when.
select problems, checked_at from books_check;
