-- Wake the workers for new deliveries, once this transaction commits.
select pg_notify('deliveries', '');
