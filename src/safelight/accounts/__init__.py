"""Who may ask, and what they may spend: workspaces, API keys, credit, balances and costs.

workspaces  creating and listing them, and their limits
keys        making, finding, listing and revoking API keys
credit      adding credit, and its history
balance     what is left
costs       what was spent, by day
"""
