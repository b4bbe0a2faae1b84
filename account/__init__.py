"""Query the AWS account (offerings, quotas, reservations, prices, instances) and check a plan against it.

Only live answers can refuse a plan, never snapshots. A question without an answer is reported in one line and
refuses nothing.
"""

from account.check import Report, check
from account.fleet import Fleet
from account.identity import identity
from account.login import Login, LoginError

__all__ = ["Fleet", "Login", "LoginError", "Report", "check", "identity"]
