-- What the newest check of the books found.
select problems from books_check;
