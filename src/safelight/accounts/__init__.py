"""Who may ask, and what they may spend: workspaces, API keys, credit, balances, costs and usage.

workspaces  creating and listing them, and their limits
keys        making, finding, listing and revoking API keys
sessions    who is in at the dashboard, and the links they come in by
credit      adding credit, and its history
balance     what is left
costs       what was spent, by day
spend       what was spent, on what, whether that is proven, and how long the rest will do
usage       what was used and what was refused, by day, model, key and end user
margins     what it cost, beside what was charged, and what was lost
books       the proof that all of it adds up
audit       what people did
webhooks    endpoints, and the log of what was delivered to them

Every function takes a scope first: a workspace's, or the operator's. Its statement carries the scope in its condition,
so what belongs to another workspace is to it as what never was.
"""
