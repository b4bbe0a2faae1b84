"""What the AWS account says: offerings, quotas, reservations, prices, what runs; asked and judged apart.

An answer is live or a snapshot, and only a live one refuses. No answer refuses nothing: it is said in a line.
"""

from account.check import Report, check
from account.fleet import Fleet
from account.login import Login

__all__ = ["Fleet", "Login", "Report", "check"]
