-- Be told of new deliveries.
listen deliveries;
