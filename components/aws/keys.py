"""The keys of a stack: who logs in to its nodes, and by what its nodes show who they are.

Both are made once and kept in state, encrypted; nothing that an operator has at home is in them.
"""

from dataclasses import dataclass

import pulumi
import pulumi_command as command
from pulumi_aws import ec2

from components.aws.labels import Labels
from remote.aws_access import GENERATE, HOST_KEY, LOGIN_KEY, private_part, public_part


@dataclass(frozen=True)
class StackKeysArgs:
    """Arguments of `StackKeys`. `key_pair` names an existing one, in place of a login key of the stack."""

    key_pair: str | None
    labels: Labels


class StackKeys(pulumi.ComponentResource):
    """The login key, unless one is given, and the host key that all nodes of the stack share."""

    pair: pulumi.Input[str]
    """Name of the key pair."""
    login: pulumi.Input[str | None]
    """Output of `ssh-keygen` for the login key; a secret. None where a key pair is given."""
    host: pulumi.Output[str]
    """Output of `ssh-keygen` for the nodes' host key; a secret."""

    def __init__(self, name: str, args: StackKeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Keys", name, None, opts)
        self._child = pulumi.ResourceOptions(parent=self)
        self.host = self._generated(HOST_KEY)
        if args.key_pair is None:
            self.login = self._generated(LOGIN_KEY)
            public = pulumi.Output.unsecret(self.login.apply(public_part))
            pair = ec2.KeyPair(name, public_key=public, tags=args.labels.of("login"), opts=self._child)
            self.pair = pair.key_name
        else:
            self.login, self.pair = None, args.key_pair
        self.register_outputs({"pair": self.pair})

    @property
    def host_private(self) -> pulumi.Output[str]:
        """Return the nodes' private key."""
        return self.host.apply(private_part)

    @property
    def host_public(self) -> pulumi.Output[str]:
        """Return the nodes' public key, which is no secret."""
        return pulumi.Output.unsecret(self.host.apply(public_part))

    def _generated(self, name: str) -> pulumi.Output[str]:
        """Return a new pair, as text, that stays: another wording of the command makes no other."""
        key_command = command.local.Command(
            name,
            create=GENERATE,
            logging=command.local.Logging.NONE,
            opts=pulumi.ResourceOptions(
                parent=self,
                additional_secret_outputs=["stdout"],
                ignore_changes=["create", "logging"],
            ),
        )
        return key_command.stdout
