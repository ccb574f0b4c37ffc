-- Segments of the archive, oldest first: what a backup takes of the store beside files of media. Of revision 0008 and later.
select key, sha256 from archives order by number;
