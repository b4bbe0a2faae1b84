"""Questions to the AWS account (offerings, quotas, reservations, prices, instances), and judging the answers.

An answer is live or a snapshot, and only a live one refuses. No answer refuses nothing: it is said in a line.
"""

from account.check import Report, check
from account.fleet import Fleet
from account.identity import identity
from account.login import Login, LoginError

__all__ = ["Fleet", "Login", "LoginError", "Report", "check", "identity"]
