-- Which of these generations are still under way, and need their inputs.
select id from generations where id = any(%(ids)s) and state in ('queued', 'running', 'unknown');
