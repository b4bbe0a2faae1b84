"""One module a verb, named like its script: arguments, and in what order the work is done."""
