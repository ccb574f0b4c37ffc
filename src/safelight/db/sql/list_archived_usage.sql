-- What the generations that went add up to, by workspace, day, type, model and key.
select workspace_id, date, type::text as type, model, api_key_id, completed, charged_thousandths, cost_nanos, failed
from archived_usage;
