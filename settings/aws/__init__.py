"""The target `kind: aws` of a stack file, the forms of what AWS names, and its regions."""
