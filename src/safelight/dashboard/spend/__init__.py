"""What was spent, with its proof; and the balance.

pages   the routes
query   what an address asks of it
charts  bars by day, as SVG
"""
