"""The verbs of `nodectl VERB`, one module each: options, and the call that does the work.

What two verbs need lies in the package of its topic; no package imports a verb.
"""
