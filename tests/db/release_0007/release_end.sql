-- Take away the mark of one who may send the last of a file: its client left before that.
update media set tombstoned_at = null
where generation_id = %(id)s and index = %(index)s and deleted_at is null and deletes_at > now();
