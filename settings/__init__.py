"""What a user may say in a stack file: strict models, no Pulumi."""
