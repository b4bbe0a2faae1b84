"""What only AWS needs to be decided: network, addresses, interfaces, security groups, user data."""
